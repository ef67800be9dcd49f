//! How a VM is described to the hypervisor when it is created.
//!
//! The name decides. A name in the hypervisor's configuration stands for the VM that was configured under it; any
//! other takes a free slot. So a typing error does not fail: it creates another VM, without the configuration.

use core::{fmt, str};

use thiserror::Error;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::{PcpuSet, VmId};
use super::layout::layout;

use crate::schema::{Field, Kind};
use crate::{Gpa, Payload, Rejection, Yields, flags};

/// A VM's name: up to 16 bytes, compared as a C string, case included. What follows a NUL does not count.
///
/// ```
/// use hypercall_core::acrn::VmName;
///
/// const NAME: VmName = match VmName::new("POST_STD_VM1") {
///     Ok(name) => name,
///     Err(_) => panic!("the name does not fit"),
/// };
/// assert_eq!(NAME.as_str(), Some("POST_STD_VM1"));
/// assert!(VmName::new("seventeen_letters").is_err());
/// ```
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
#[doc(alias = "MAX_VM_NAME_LEN")]
#[doc(alias = "uuid")]
pub struct VmName(pub [u8; 16]);

/// Why a string is no VM name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum VmNameError {
    /// More than 16 bytes.
    #[error("a VM name has at most 16 bytes")]
    TooLong,
    /// Nothing: the hypervisor would take a new slot with every call. [`VmName::EMPTY`] says that it is meant.
    #[error("a VM name is not empty")]
    Empty,
    /// A NUL inside: the hypervisor would stop reading there.
    #[error("a VM name has no NUL inside")]
    Nul,
}

impl VmName {
    /// No name. It matches no VM, so each creation takes another free slot.
    pub const EMPTY: Self = Self([0; 16]);

    /// The name as the hypervisor wants it.
    ///
    /// # Errors
    /// When it is empty, longer than 16 bytes, or holds a NUL.
    pub const fn new(name: &str) -> Result<Self, VmNameError> {
        let mut rest = name.as_bytes();
        if rest.is_empty() {
            return Err(VmNameError::Empty);
        }
        if rest.len() > 16 {
            return Err(VmNameError::TooLong);
        }
        let mut bytes = [0; 16];
        let mut free: &mut [u8] = &mut bytes;
        while let ([byte, later @ ..], [place, others @ ..]) = (rest, free) {
            if *byte == 0 {
                return Err(VmNameError::Nul);
            }
            *place = *byte;
            rest = later;
            free = others;
        }
        Ok(Self(bytes))
    }

    /// The bytes before the first NUL, which is what the hypervisor compares.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The name as text, or `None` where it is not UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        str::from_utf8(self.as_bytes()).ok()
    }
}

impl PartialEq for VmName {
    /// As the hypervisor compares: up to the first NUL.
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}
impl Eq for VmName {}

impl fmt::Debug for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl TryFrom<&str> for VmName {
    type Error = VmNameError;
    fn try_from(name: &str) -> Result<Self, VmNameError> {
        Self::new(name)
    }
}

impl Field for VmName {
    const KIND: Kind = Kind::Text;
}

flags! {
    /// What a VM is and has (`GUEST_FLAG_…`).
    ///
    /// `CREATE_VM` takes only [`SECURE_WORLD`](Self::SECURE_WORLD), [`LAPIC_PASSTHROUGH`](Self::LAPIC_PASSTHROUGH),
    /// [`IO_COMPLETION_POLLING`](Self::IO_COMPLETION_POLLING) and [`RT`](Self::RT) from its caller, and debug builds
    /// also [`PMU_PASSTHROUGH`](Self::PMU_PASSTHROUGH) (`DM_OWNED_GUEST_FLAG_MASK`). It drops the others without
    /// complaint; they come from the hypervisor's configuration.
    #[doc(alias = "vm_flag")]
    #[doc(alias = "guest_flags")]
    pub struct VmFlags(u64) {
        /// The VM has a secure world. Where no trusty VM is configured, creation then fails, and so does every later
        /// creation in that slot.
        #[doc(alias = "GUEST_FLAG_SECURE_WORLD_ENABLED")]
        SECURE_WORLD = 1 << 0,
        /// The VM drives its local APICs itself. Needs [`RT`](Self::RT).
        #[doc(alias = "GUEST_FLAG_LAPIC_PASSTHROUGH")]
        LAPIC_PASSTHROUGH = 1 << 1,
        /// The hypervisor polls the I/O request page for completion instead of waiting for
        /// [`notify_request_finish`](super::Hypervisor::notify_request_finish).
        #[doc(alias = "GUEST_FLAG_IO_COMPLETION_POLLING")]
        IO_COMPLETION_POLLING = 1 << 2,
        /// The VM has no memory type range registers.
        #[doc(alias = "GUEST_FLAG_HIDE_MTRR")]
        HIDE_MTRR = 1 << 3,
        /// A real-time VM.
        #[doc(alias = "GUEST_FLAG_RT")]
        RT = 1 << 4,
        /// The VM may be a hypervisor itself.
        #[doc(alias = "GUEST_FLAG_NVMX_ENABLED")]
        NVMX = 1 << 5,
        /// A security VM: its firmware tables name the TPM.
        #[doc(alias = "GUEST_FLAG_SECURITY_VM")]
        SECURITY_VM = 1 << 6,
        /// The VM has virtual cache allocation.
        #[doc(alias = "GUEST_FLAG_VCAT_ENABLED")]
        VCAT = 1 << 7,
        /// The VM is in the hypervisor's configuration.
        #[doc(alias = "GUEST_FLAG_STATIC_VM")]
        STATIC_VM = 1 << 8,
        /// The VM is the trusted execution environment of another VM.
        #[doc(alias = "GUEST_FLAG_TEE")]
        TEE = 1 << 9,
        /// The VM is the rich execution environment beside a TEE.
        #[doc(alias = "GUEST_FLAG_REE")]
        REE = 1 << 10,
        /// The VM uses the performance counters itself.
        #[doc(alias = "GUEST_FLAG_PMU_PASSTHROUGH")]
        PMU_PASSTHROUGH = 1 << 11,
        /// The VM has virtual hardware-controlled performance states.
        #[doc(alias = "GUEST_FLAG_VHWP")]
        VHWP = 1 << 12,
        /// The VM has a virtual thermal monitor.
        #[doc(alias = "GUEST_FLAG_VTM")]
        VTM = 1 << 13,
        /// The VM may be switched off without warning and loses nothing.
        #[doc(alias = "GUEST_FLAG_STATELESS")]
        STATELESS = 1 << 14,
    }
}

/// What [`create_vm`](super::Hypervisor::create_vm) is told, and tells.
///
/// ```
/// use hypercall_core::acrn::{PcpuId, PcpuSet, VmCreation, VmName};
///
/// # fn main() -> Result<(), hypercall_core::acrn::VmNameError> {
/// let creation = VmCreation::new(VmName::new("POST_STD_VM1")?)
///     .with_cpu_affinity(PcpuSet::of(&[PcpuId(1)]));
/// # assert_eq!(creation.cpu_affinity, PcpuSet(2));
/// # Ok(())
/// # }
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_vm_creation")]
#[doc(alias = "acrn_vm_creation")]
pub struct VmCreation {
    /// Out: the VM, or [`VmId::INVALID`] when creation failed after its checks. What stands there before a call does
    /// not matter: it is overwritten with [`VmId::INVALID`].
    pub vmid: VmId,
    /// Zero.
    #[payload(reserved)]
    pub reserved0: u16,
    /// Out: how many vCPUs the VM has. What goes in does not matter.
    pub vcpu_num: u16,
    /// Zero.
    #[payload(reserved)]
    pub reserved1: u16,
    /// Which VM. Linux's header still calls these 16 bytes a UUID.
    pub name: VmName,
    /// What the VM shall be. Comes back as sent, whatever was dropped.
    #[payload(c = "vm_flag")]
    pub flags: VmFlags,
    /// Not read by the hypervisor and handed back as sent: the page is set with
    /// [`set_ioreq_buffer`](super::Hypervisor::set_ioreq_buffer). Linux's driver takes a user address here.
    pub ioreq_buf: Gpa,
    /// The physical processors that the VM gets, one for each vCPU. Empty: those of its configuration, and no vCPU
    /// at all for a VM that has none.
    pub cpu_affinity: PcpuSet,
}
layout!(VmCreation: 48 bytes, align 8 {
    vmid @ 0, reserved0 @ 2, vcpu_num @ 4, reserved1 @ 6, name @ 8, flags @ 24, ioreq_buf @ 32, cpu_affinity @ 40,
});

impl VmCreation {
    /// The VM of this name, with no flags, on the processors of its configuration.
    #[must_use]
    pub const fn new(name: VmName) -> Self {
        Self {
            vmid: VmId::INVALID,
            reserved0: 0,
            vcpu_num: 0,
            reserved1: 0,
            name,
            flags: VmFlags::empty(),
            ioreq_buf: Gpa(0),
            cpu_affinity: PcpuSet::AS_CONFIGURED,
        }
    }

    /// The same with these flags.
    #[must_use]
    pub const fn with_flags(mut self, flags: VmFlags) -> Self {
        self.flags = flags;
        self
    }

    /// The same on these processors, which must exist: an affinity that names one that does not crashes the
    /// hypervisor when the VM's name is not configured (observed).
    #[must_use]
    pub const fn with_cpu_affinity(mut self, pcpus: PcpuSet) -> Self {
        self.cpu_affinity = pcpus;
        self
    }
}

impl Default for VmCreation {
    fn default() -> Self {
        Self::new(VmName::EMPTY)
    }
}

impl Yields<VmId> for VmCreation {
    /// The VM's id. ACRN answers 0 with [`VmId::INVALID`] when `create_vm` failed after the checks of
    /// `hcall_create_vm`. An id that no new VM can have, 0 or one from 16 on, is rejected too: taken for good, it would
    /// turn later calls against the Service VM or against none. The block keeps it.
    fn yielded(&self) -> Result<VmId, Rejection> {
        match self.vmid {
            VmId::INVALID => Err(Rejection(
                "vmid is 0xffff: creation failed after the checks",
            )),
            VmId(1..=15) => Ok(self.vmid),
            _ => Err(Rejection(
                "vmid is one that no new VM can have: 0 is the Service VM, and ids are below 16",
            )),
        }
    }

    fn store(&mut self, value: VmId) {
        self.vmid = value;
    }

    fn store_failure(&mut self) {
        self.vmid = VmId::INVALID;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_id(id: u16) -> Result<VmId, Rejection> {
        VmCreation {
            vmid: VmId(id),
            ..VmCreation::default()
        }
        .yielded()
    }

    #[test]
    fn an_id_that_no_new_vm_can_have_is_never_taken_for_one() {
        for id in 1..=15 {
            assert_eq!(with_id(id), Ok(VmId(id)));
        }
        for id in [0, 16, 17, 255, 256, 0x0101, 0xfffe] {
            let Rejection(why) = with_id(id).unwrap_err();
            assert!(why.contains("no new VM"), "{id}: {why}");
        }
        let Rejection(why) = with_id(0xffff).unwrap_err();
        assert!(why.contains("0xffff"), "{why}");
    }
}
