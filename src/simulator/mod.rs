//! Plays WeChat for tests, the demo and `wxreply simulate`: pushes to a callback, followers' phones, and the API.
//! Owns: a faithful outside view of the platform. Uses: model, clock, HTTP. Never: anything of the server, which it meets over HTTP only.
//!
//! ```text
//! let wechat = Wechat::start(Settings::default())?;
//! let shop = wechat.account(AccountSettings::secure("shop", "http://127.0.0.1:8080/wx/shop"));
//! let delivered = shop.follower("oXiaoWang").says("几点关门").await;
//! assert_eq!(delivered.text(), Some("晚上十点。"));
//! ```

mod account;
mod api;
mod delivery;
mod fault;
mod follower;
pub mod http;
mod letter;
mod media;
mod pending;
mod phone;
mod platform;
mod push;
mod quota;
mod refusal;
mod reply;
mod seal;
mod token;
mod window;
mod xml;

pub use account::{AccountSettings, Agent, Mode, Rights};
pub use delivery::Delivered;
pub use fault::{Fault, Times};
pub use follower::{Account, Follower};
pub use letter::Tampering;
pub use media::{MediaKind, POINT_PNG};
pub use pending::Pending;
pub use phone::{FAULT_NOTICE, Pushed, Shown, Sight};
pub use platform::{Call, Observer, Settings, Wechat};
pub use push::Push;
pub use reply::PassiveReply;
