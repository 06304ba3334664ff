//! The one integration binary: drives the program from outside. Every file beside this one is named here.
#![expect(missing_docs, unreachable_pub, reason = "tests document themselves")]

mod api;
mod architecture;
mod config;
mod simulator;
mod store;
mod support;
mod turns;
mod webhook;
mod wire;
