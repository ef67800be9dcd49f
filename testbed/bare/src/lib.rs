//! What an image needs to run on a machine without an operating system: an entry, a console, exceptions that are
//! reported, memory functions, a heap, an end.
//!
//! An image is an ELF file for the host's own target, linked without a C library by `link.ld`. It defines
//! `extern "sysv64" fn image_main() -> !`, which runs in long mode on a stack of its own, with interrupts off and all
//! memory below 4 GiB mapped to its own physical address.
#![no_std]

pub mod boot;
pub mod console;
pub mod control;
pub mod cpu;
pub mod exit;
pub mod heap;
pub mod interrupts;
mod memory;

/// Selector of the segment of 64-bit code in ring 0.
pub const CODE: u16 = 0x08;
/// Selector of the segments of data in ring 0.
pub const DATA: u16 = 0x10;
/// Selector of the segment of 64-bit code in ring 3.
pub const USER_CODE: u16 = 0x30 | 3;
/// Selector of the segments of data in ring 3.
pub const USER_DATA: u16 = 0x28 | 3;
/// Selector of the task state segment.
pub const TASK: u16 = 0x38;
