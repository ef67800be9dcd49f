//! What the test bed's hypervisor decides from numbers alone: which controls a processor's VMX is given, what of its features the
//! guest sees and may switch on, how fast its counter is. No instruction is executed here, so that ordinary tests on a host can look at it.
#![no_std]
#![forbid(unsafe_code)]

pub mod controls;
pub mod cr4;
pub mod features;
pub mod frequency;
