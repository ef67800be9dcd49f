//! One line of a recording.

use alloc::{string::String, vec::Vec};

use hypercall_core::server::Registers;

/// What the Service VM did, or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A call and its answer.
    Hypercall {
        /// Number and parameters.
        registers: Registers,
        /// RAX afterwards.
        rax: i64,
    },
    /// A call from ring 3.
    HypercallCpl3 {
        /// Number and parameters.
        registers: Registers,
        /// The exception's vector.
        vector: u8,
    },
    /// Bytes were stored.
    Write {
        /// Where.
        gpa: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// One byte was stored many times.
    Fill {
        /// Where.
        gpa: u64,
        /// How many times; at most [`FILL_LIMIT`](super::FILL_LIMIT).
        length: u64,
        /// What.
        byte: u8,
    },
    /// A word was stored.
    Store32 {
        /// Where.
        gpa: u64,
        /// What.
        value: u32,
    },
    /// What memory held.
    Read {
        /// Where.
        gpa: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// The Service VM polled a word.
    WaitU32 {
        /// Where.
        gpa: u64,
        /// What it waited for.
        value: u32,
        /// Whether it came.
        met: bool,
    },
    /// Upcalls so far.
    UpcallCount {
        /// Of this vector.
        vector: u8,
        /// How many.
        count: u64,
    },
    /// A CPUID leaf.
    Cpuid {
        /// The leaf.
        leaf: u32,
        /// EAX, EBX, ECX, EDX, as far as they were recorded.
        registers: [Option<u32>; 4],
    },
    /// A heading.
    Label(String),
}
