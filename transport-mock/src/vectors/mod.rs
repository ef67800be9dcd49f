//! Recorded conversations with a real ACRN, and a runner that holds a fake to them (feature `vectors`).
//!
//! A recording is text, one JSON object a line, in order. Addresses are guest physical ones of the Service VM; numbers
//! are decimal or strings with `0x`, bytes are strings of hexadecimal digits.
//!
//! | `op` | fields | what it is |
//! |---|---|---|
//! | `hypercall` | `r8` `rdi` `rsi` `rax` | a call from ring 0, and its answer |
//! | `hypercall_cpl3` | `r8` `rdi` `rsi` `vector` | a call from ring 3, and the exception it got |
//! | `write` | `gpa` `bytes` | the Service VM stored bytes |
//! | `fill` | `gpa` `len` `byte` | it stored one byte many times |
//! | `store32` | `gpa` `value` | it stored a word |
//! | `read` | `gpa` `bytes` | what memory held |
//! | `wait_u32` | `gpa` `value` `met` | it polled until a word had a value; whether that came to pass |
//! | `upcall_count` | `vector` `count` | upcalls of a vector so far |
//! | `cpuid` | `leaf` `eax` `ebx` `ecx` `edx` | a CPUID leaf |
//! | `label` | `text` | a heading |
//!
//! [`run`] replays one recording on a fake that has just booted, through registers and memory, and compares every
//! answer. The fake has no processor for guests, so where a guest's code acted, what only the guest can know is taken
//! from the recording: the kind, direction, address, size and written value of an I/O request, and what a running guest
//! left in its own memory. The rest of a request (the slot's state, upcalls, what a read request shows, what is around
//! it) comes from the fake and is checked. [`Report`] counts the two apart.
//!
//! One thing about the machine is taken as well: where the hypervisor keeps the page that VMs see at 0xfee00000, if the
//! recording's translations agree about it.

mod act;
mod guest;
mod machine;
mod op;
mod parse;
mod ranges;
mod report;
mod run;

pub use op::Op;
pub use parse::{ParseError, parse};
pub use report::{Difference, Report};
pub use run::run;

/// Bytes that one `fill` may store.
pub const FILL_LIMIT: u64 = 16 << 20;
