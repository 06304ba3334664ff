//! Speaks to systems that are not WeChat: listed hosts only, at addresses that were checked after their name was looked up.
//! Owns: who may be spoken to, the check between name and connection, the signature. Uses: ureq, hmac. Never: why it speaks,
//! the environment, a secret, a URL or an answer in a log.

mod address;
mod allowed;
mod exchange;
mod secrets;
mod signature;

pub use allowed::{AllowedHost, NotAHost};
pub use exchange::{Answer, Checked, Exchange, Fault, Lookup, Place, Post, system_lookup};
pub use secrets::Secrets;
pub use signature::{hmac_sha256, sign};
