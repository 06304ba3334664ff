//! Says what can be chosen about the store.
//! Owns: the settings' meaning and defaults. Uses: nothing. Never: TOML, the environment.

use std::sync::Arc;
use std::time::Duration;

/// What can be chosen when a store is opened.
#[derive(Clone)]
pub struct Settings {
    /// How long a repeat of a turn is recognised: max(24 h, 2 × the callback's `max_skew`).
    pub ledger_for: Duration,
    /// The size of the spill file, in bytes; reserved when the store is opened.
    pub spill_bytes: u64,
    /// How many entries a start may have to read again; 131,072 take some 0.2 s.
    pub checkpoint_after: u64,
    /// How long after a refusal the database is tried again, give or take a quarter.
    pub retry_after: Duration,
    /// Asked before every step that writes.
    pub before_io: Option<BeforeIo>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ledger_for: Duration::from_secs(24 * 3600),
            spill_bytes: 16 << 20,
            checkpoint_after: 1 << 17,
            retry_after: Duration::from_secs(1),
            before_io: None,
        }
    }
}

/// Says whether a step may happen; its error is taken for the step's own. For rehearsing what a failing disk leads to.
pub type BeforeIo = Arc<dyn Fn(Io) -> std::io::Result<()> + Send + Sync>;

/// A step that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// A value goes to the database.
    Write,
    /// The database's file is synced.
    Sync,
    /// The database is opened again after it refused something.
    Reopen,
    /// A record goes to the spill file.
    Spill,
}
