//! Reads WeChat's XML into the model and writes replies as XML.
//! Owns: the public face of both ways. Uses: model, quick-xml. Never: DTDs, entities of one's own, anything outside memory.

mod elements;
mod error;
mod flat;
mod incoming;
mod tree;
mod write;

pub use error::XmlError;
pub use incoming::read;
pub use tree::{Tree, read_tree};
pub use write::{write, write_envelope};

pub(super) use elements::Elements;
