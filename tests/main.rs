//! The one integration binary: drives the program from outside. Every file beside this one is named here.
#![expect(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "tests document themselves, and a panic is how they fail"
)]

mod alerts;
mod api;
mod architecture;
mod backtest;
mod config;
mod crowd;
mod delivery;
mod desk;
mod events;
mod import;
mod keys;
mod operation;
mod people;
mod privacy;
mod rules;
mod rules_life;
mod simulator;
mod store;
mod support;
mod tokens;
mod turns;
mod upload;
mod webhook;
mod wire;
