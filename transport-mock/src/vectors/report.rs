//! What became of a recording.

use alloc::{string::String, vec::Vec};
use core::fmt;

/// An answer that the fake gave differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the recording, counted from 1.
    pub line: usize,
    /// What differs: recorded and given.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// How far a fake agrees with a recording.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Report {
    /// Answers in registers (RAX, exceptions, counters, CPUID) that were compared.
    pub registers: usize,
    /// Answers in memory that were compared, at least in part.
    pub memory: usize,
    /// Words that the Service VM polled, and whether they came: compared.
    pub waits: usize,
    /// I/O requests whose kind, direction, address, size and written value were taken from the recording.
    pub requests: usize,
    /// Answers in memory that were not compared: nothing in them but what was taken, or what a running guest may have
    /// left in its own memory.
    pub taken: usize,
    /// Host address of the APIC-access page, where it was taken from the recording because the configured machine has
    /// it elsewhere.
    pub apic_page: Option<u64>,
    /// Those of the compared that differ, by line.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Answers that were compared.
    #[must_use]
    pub fn checked(&self) -> usize {
        self.registers
            .saturating_add(self.memory)
            .saturating_add(self.waits)
    }

    /// Answers that were compared and agree.
    #[must_use]
    pub fn agreed(&self) -> usize {
        self.checked().saturating_sub(self.differences.len())
    }

    /// Whether all of the compared agree.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.differences.is_empty()
    }

    /// Adds another report's counts, for a total. Its differences are added without their meaning.
    pub fn add(&mut self, other: &Self) {
        self.registers = self.registers.saturating_add(other.registers);
        self.memory = self.memory.saturating_add(other.memory);
        self.waits = self.waits.saturating_add(other.waits);
        self.requests = self.requests.saturating_add(other.requests);
        self.taken = self.taken.saturating_add(other.taken);
        self.differences.extend(other.differences.iter().cloned());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers checked ({} registers, {} memory, {} waits), {} agree, {} differ; taken from the recording: {} I/O requests, {} answers in memory",
            self.checked(),
            self.registers,
            self.memory,
            self.waits,
            self.agreed(),
            self.differences.len(),
            self.requests,
            self.taken,
        )?;
        match self.apic_page {
            Some(page) => write!(f, ", the APIC-access page at {page:#x}"),
            None => Ok(()),
        }
    }
}
