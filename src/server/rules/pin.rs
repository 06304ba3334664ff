//! Remembers that a revision runs although the directory holds something else.
//! Owns: where the pin is kept. Uses: nothing. Never: decides when a pin ends.

use parking_lot::Mutex;

/// A revision that was brought back where the directory could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pin {
    /// What runs.
    pub(super) revision: u64,
    /// The content of the directory over which it was pinned; any other content ends it.
    pub(super) over: [u8; 32],
}

/// Where the pin is.
#[derive(Debug, Default)]
pub(super) struct PinPlace(Mutex<Option<Pin>>);

impl PinPlace {
    pub(super) fn read(&self) -> Option<Pin> {
        *self.0.lock()
    }

    pub(super) fn write(&self, pin: Option<Pin>) {
        *self.0.lock() = pin;
    }
}
