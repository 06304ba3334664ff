//! Speaks WeChat's wire: takes its signed, possibly encrypted pushes apart, writes the answers, calls its API.
//! Owns: signatures, the AES envelope, XML both ways, limits of what may be sent, the API client and its token.
//! Uses: model. Never: rules, conversations, an HTTP server; no secret leaves through `Debug`, an error or a log line.
//!
//! Three entry points carry everything: [`callback::verify_url`] and [`callback::open`] for what WeChat sends,
//! [`callback::answer`] for what goes back in the same response, [`Client::send`] for what is pushed later.

pub mod account;
pub mod callback;
pub mod client;
pub mod crypto;
pub mod query;
pub mod signature;
pub mod text;
pub mod token;
pub mod xml;

pub use account::{Account, AccountError, Mode};
pub use callback::{Opened, Refused, RefusedKind, Seal};
pub use client::{Client, ClientSettings, Known, SendError};
pub use crypto::{AesKey, BadKey};
pub use token::Lease;
