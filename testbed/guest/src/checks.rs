//! What is not a step of the suite: things that hold or do not.

use core::fmt::Display;

use bare::line;

/// Counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checks {
    pub made: usize,
    pub failed: usize,
}

impl Checks {
    /// Writes a line.
    pub fn check(&mut self, what: impl Display, holds: bool) {
        self.made += 1;
        if !holds {
            self.failed += 1;
        }
        line!("      {what}: {}", if holds { "ok" } else { "FAILED" });
    }
}
