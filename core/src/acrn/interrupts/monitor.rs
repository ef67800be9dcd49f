//! How many interrupts the devices of a VM raised, and a brake on them.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::layout::{layout, zero_default};
use crate::{Payload, open_enum};

open_enum! {
    /// What is asked of the monitor. Any other number is refused with -22.
    pub struct IntrMonitorCommand(u32) {
        /// Read the counters of the VM's pass-through interrupts.
        #[doc(alias = "INTR_CMD_GET_DATA")]
        GET_DATA = 0,
        /// Delay the VM's pass-through interrupts by `buffer[0]` milliseconds each; 0 ends it.
        #[doc(alias = "INTR_CMD_DELAY_INT")]
        DELAY_INT = 1,
    }
}

/// A question to the interrupt monitor, and its answer.
///
/// The hypervisor reads and writes it in place, so it must lie in one page: [`PageAligned`](crate::PageAligned).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_intr_monitor")]
#[doc(alias = "acrn_intr_monitor")]
pub struct IntrMonitor {
    /// What is asked.
    #[payload(c = "cmd")]
    pub command: IntrMonitorCommand,
    /// In: how many words of [`buffer`](Self::buffer) may be used, at most 48. Out: how many were written, two for
    /// each interrupt.
    ///
    /// 0 and 1 switch the limit off: ACRN subtracts 2 from it without a sign (`ptirq_get_intr_data`) and would write
    /// as many entries as the VM has interrupts, beyond the buffer if need be.
    pub buf_cnt: u32,
    /// Pairs of a physical interrupt's number and its count; or the delay.
    #[payload(volatile)]
    pub buffer: [u64; 48],
}
layout!(IntrMonitor: 392 bytes, align 8 { command @ 0, buf_cnt @ 4, buffer @ 8 });
zero_default!(IntrMonitor);

/// How often an interrupt of a pass-through device came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PirqCount {
    /// The hypervisor's number for the physical interrupt.
    pub pirq: u64,
    /// How often, since the interrupt was assigned.
    pub count: u64,
}

impl IntrMonitor {
    /// How many words a question has room for: 24 interrupts (`MAX_PTDEV_NUM`).
    #[doc(alias = "MAX_PTDEV_NUM")]
    pub const WORDS: u32 = 48;

    /// Asks for the counters, with room for 24 interrupts.
    #[must_use]
    pub const fn counters() -> Self {
        Self {
            command: IntrMonitorCommand::GET_DATA,
            buf_cnt: Self::WORDS,
            buffer: [0; 48],
        }
    }

    /// Asks for a delay of so many milliseconds before each interrupt; 0 ends it.
    #[must_use]
    pub const fn delay(milliseconds: u64) -> Self {
        let mut buffer = [0; 48];
        let [first, ..] = &mut buffer;
        *first = milliseconds;
        Self {
            command: IntrMonitorCommand::DELAY_INT,
            buf_cnt: 1,
            buffer,
        }
    }

    /// The answer to [`counters`](Self::counters). No more than the buffer holds, whatever the count says.
    pub fn counts(&self) -> impl Iterator<Item = PirqCount> + '_ {
        let pairs = usize::try_from(self.buf_cnt / 2).unwrap_or(usize::MAX);
        self.buffer
            .as_chunks::<2>()
            .0
            .iter()
            .take(pairs)
            .map(|&[pirq, count]| PirqCount { pirq, count })
    }
}
