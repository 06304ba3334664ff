//! The one integration binary: drives the program from outside. Every file beside this one is named here.
#![expect(unreachable_pub, reason = "a test binary has no outside")]

mod api;
mod architecture;
mod config;
mod simulator;
mod store;
mod support;
mod webhook;
mod wire;
