//! Holds every store to the promises of `trait Store`: one suite, and for sled what only it can be put through.
#![expect(clippy::unwrap_used, reason = "a test says so when it fails")]

pub mod fixtures;
#[macro_use]
mod suite;
mod durability;
mod first_format;
mod forgetting;
mod full_disk;
mod kept;
mod kill;
mod model;
mod second_format;
mod settling;
mod sled;
