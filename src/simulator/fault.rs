//! Breaks API calls on demand, in the ways in which they break in life.
//! Owns: which call breaks next and how. Uses: nothing of ours. Never: HTTP itself.

use std::time::Duration;

/// A way in which an API call goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call is carried out at once, the answer comes this much later.
    Slow(Duration),
    /// Not carried out; this HTTP status with an HTML page.
    Status(u16),
    /// Carried out; the answer is not JSON.
    BrokenJson,
    /// Carried out; the connection is cut in the middle of the answer.
    HalfAnswer,
    /// Carried out; the connection is closed without a byte of an answer.
    NoAnswer,
    /// Not carried out; this `errcode`.
    Code(i64),
    /// Not carried out; 40164 with the caller's address in `errmsg`.
    NotInWhitelist,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The next so many calls.
    Next(u32),
    /// Until [`heals`](super::Wechat::heals).
    Always,
}

/// The faults that are switched on, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<(String, Fault, Times)>);

impl Faults {
    /// Switches one on for a path; an empty path means all.
    pub(super) fn add(&mut self, path: &str, fault: Fault, times: Times) {
        if times != Times::Next(0) {
            self.0.push((path.to_owned(), fault, times));
        }
    }

    /// Switches all off.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that strikes this call, if any: the first that fits. Counts it.
    pub(super) fn strike(&mut self, path: &str) -> Option<Fault> {
        let fits = |(on, ..): &(String, Fault, Times)| on.is_empty() || on == path;
        let at = self.0.iter().position(fits)?;
        let (_, fault, times) = self.0.get_mut(at)?;
        let fault = fault.clone();
        if let Times::Next(left) = times {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.remove(at);
            }
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_strike_in_order_as_often_as_told() {
        let mut faults = Faults::default();
        faults.add("/a", Fault::Code(-1), Times::Next(2));
        faults.add("", Fault::BrokenJson, Times::Always);
        assert_eq!(faults.strike("/b"), Some(Fault::BrokenJson));
        assert_eq!(faults.strike("/a"), Some(Fault::Code(-1)));
        assert_eq!(faults.strike("/a"), Some(Fault::Code(-1)));
        assert_eq!(faults.strike("/a"), Some(Fault::BrokenJson));
        faults.clear();
        assert_eq!(faults.strike("/a"), None);
    }
}
