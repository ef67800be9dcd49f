//! Buffers that the hypervisor writes and a program reads: traces, logs, events, I/O without an answer.
//!
//! A buffer is a ring of elements of one size behind a [header](SharedBufferHeader), in the Service VM's memory. The
//! hypervisor is the only writer of `tail`, the program the only writer of `head`. The program fills the header in
//! and hands the memory over with [`setup_sbuf`](super::Hypervisor::setup_sbuf).
//!
//! The hypervisor keeps the memory: buffers of a processor until another is set for it or it is removed, buffers of a
//! VM until the next creation of that VM or until another is set. It does not say when it let go.

mod asyncio;
mod event;
mod header;

pub use asyncio::{AsyncIoInfo, AsyncIoKind};
pub use event::{RtcChange, VmEvent, VmEventKind};
pub use header::{SbufFlags, SharedBufferHeader};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::PcpuId;
use super::layout::{layout, zero_default};
use crate::{Gpa, Payload, open_enum};

open_enum! {
    /// What a buffer is for. 0 to 3 exist once for each physical processor and only in debug builds; 64 and 65 once
    /// for each VM. The hypervisor refuses others with -1.
    #[doc(alias = "sbuf_id")]
    pub struct SbufId(u32) {
        /// Trace events of a processor.
        #[doc(alias = "ACRN_TRACE")]
        TRACE = 0,
        /// The hypervisor's log of a processor.
        #[doc(alias = "ACRN_HVLOG")]
        HVLOG = 1,
        /// Samples of the performance counters.
        #[doc(alias = "ACRN_SEP")]
        SEP = 2,
        /// Samples of power and performance states.
        #[doc(alias = "ACRN_SOCWATCH")]
        SOCWATCH = 3,
        /// Writes of a VM that need no answer: elements of 8 bytes, the `fd` of an [`AsyncIoInfo`].
        #[doc(alias = "ACRN_ASYNCIO")]
        ASYNCIO = 64,
        /// What happened to a VM: elements of 32 bytes, a [`VmEvent`].
        #[doc(alias = "ACRN_VM_EVENT")]
        VM_EVENT = 65,
    }
}

impl SbufId {
    /// Whether there is one such buffer for each physical processor.
    #[must_use]
    pub const fn is_per_pcpu(self) -> bool {
        self.0 < 4
    }
}

/// What [`setup_sbuf`](super::Hypervisor::setup_sbuf) puts before its buffer.
///
/// The attribute on the trait fills it in; a program does not build one.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_sbuf_param")]
#[doc(alias = "acrn_sbuf_param")]
pub struct SbufParam {
    /// The processor, for a buffer that each has; otherwise ignored.
    pub cpu_id: PcpuId,
    /// Zero.
    #[payload(reserved)]
    pub reserved: u16,
    /// What the buffer is for.
    pub sbuf_id: SbufId,
    /// Where it is.
    pub gpa: Gpa,
}
layout!(SbufParam: 16 bytes, align 8 { cpu_id @ 0, reserved @ 2, sbuf_id @ 4, gpa @ 8 });
zero_default!(SbufParam);
