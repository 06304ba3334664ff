//! Names the things the program is about: ids, messages, replies, conversations and what may happen to them.
//! Owns: shapes, limits and the legal changes of a conversation. Uses: nothing of ours. Never: I/O, the clock, a wire format.

pub mod ability;
pub mod access;
pub mod alert;
pub mod audit;
pub mod calendar;
pub mod conversation;
pub mod desk;
pub mod entry;
pub mod hook;
pub mod ids;
pub mod incident;
pub mod incoming;
pub mod media;
pub mod message;
pub mod notice;
pub mod people;
pub mod received;
pub mod remembered;
pub mod reply;
pub mod rule_files;
pub mod time;
pub mod window;

pub use ability::{Ability, Capability, Measured, Verdict};
pub use access::{ApiToken, Role};
pub use alert::{Alert, AlertChannel, AlertKind, ChannelKind};
pub use audit::{AuditPage, AuditQuery, AuditRecord, What};
pub use calendar::Calendar;
pub use conversation::{Act, Actor, Conversation, Refusal, State, Timer};
pub use entry::{Answer, Change, Entry, Turn};
pub use hook::{HookAnswer, HookCall, HookFault};
pub use ids::{
    AccountName, AgentName, ConversationId, MessageId, OpenId, RuleId, SessionId, TurnKey,
};
pub use incident::{Incident, IncidentEdit};
pub use incoming::{Content, Event, EventKind, Field, Incoming};
pub use media::{MediaFile, MediaFormat, MediaIds, MediaKind, Picture, UploadedMedia};
pub use message::{By, Delivery, Direction, Message};
pub use people::{Session, User, UserChange, UserEdit, UserRefusal};
pub use received::{AgentMedia, Fetched, MediaSource, ReceivedMedia, Served};
pub use remembered::{Form, Noted, Offer, Remembered};
pub use reply::{Article, Reply};
pub use rule_files::{FileChanges, RuleFiles};
pub use time::Time;
