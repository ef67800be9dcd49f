//! What a VM event buffer holds.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

use crate::acrn::layout::{layout, zero_default};
use crate::{Payload, open_enum};

open_enum! {
    /// What happened to a VM.
    pub struct VmEventKind(u32) {
        /// It set its clock: the data is an [`RtcChange`].
        #[doc(alias = "VM_EVENT_RTC_CHG")]
        RTC_CHANGE = 0,
        /// It switched itself off.
        #[doc(alias = "VM_EVENT_POWEROFF")]
        POWEROFF = 1,
        /// It crashed beyond repair.
        #[doc(alias = "VM_EVENT_TRIPLE_FAULT")]
        TRIPLE_FAULT = 2,
    }
}

/// One element of the buffer [`VM_EVENT`](super::SbufId::VM_EVENT).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "vm_event")]
#[doc(alias = "vm_event")]
pub struct VmEvent {
    /// What happened.
    #[payload(c = "type")]
    pub kind: VmEventKind,
    /// More about it, by kind. Not aligned for numbers of 8 bytes.
    #[payload(c = "event_data")]
    pub data: [u8; 28],
}
layout!(VmEvent: 32 bytes, align 4 { kind @ 0, data @ 4 });
zero_default!(VmEvent);

impl VmEvent {
    /// What the clock did, where the event is about that.
    #[must_use]
    pub fn rtc_change(&self) -> Option<RtcChange> {
        if self.kind != VmEventKind::RTC_CHANGE {
            return None;
        }
        let mut change = RtcChange::new_zeroed();
        let bytes = change.as_mut_bytes();
        let length = bytes.len();
        bytes.copy_from_slice(self.data.get(..length)?);
        Some(change)
    }
}

/// How a VM set its clock. Relative to the machine's own clock when the hypervisor says it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "rtc_change_event_data")]
#[doc(alias = "rtc_change_event_data")]
pub struct RtcChange {
    /// What the clock said before.
    #[payload(units = "s")]
    pub last_time: i64,
    /// How far it was moved.
    #[payload(units = "s")]
    pub delta_time: i64,
}
layout!(RtcChange: 16 bytes, align 8 { last_time @ 0, delta_time @ 8 });
zero_default!(RtcChange);
