//! Answers the messages of WeChat official accounts from rule files, and hands the rest to people.
//!
//! The modules in reading order; ARCHITECTURE.md has the map and the rules between them.

pub mod clock;
pub mod model;

pub mod turn;
pub mod upload;

pub mod decide;
pub mod delivery;
pub mod desk;
pub mod hook;
pub mod rules;
pub mod store;
pub mod wechat;

pub mod config;
pub mod server;
pub mod simulator;

pub mod cli;
