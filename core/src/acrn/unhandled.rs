//! Numbers that ACRN's headers define and its dispatch table leaves empty.
//!
//! A call with one of them is answered with `-25` ([`ENOTTY`](super::codes::ENOTTY)) (observed), and what its
//! parameters would be is not defined any more. They are here so that a trace can name them.

/// Once: assign a pass-through device. Today [`assign_pcidev`](super::Hypervisor::assign_pcidev).
#[doc(alias = "HC_ASSIGN_PTDEV")]
pub const ASSIGN_PTDEV: u64 = 0x8000_0050;
/// Once: take a pass-through device back. Today [`deassign_pcidev`](super::Hypervisor::deassign_pcidev).
#[doc(alias = "HC_DEASSIGN_PTDEV")]
pub const DEASSIGN_PTDEV: u64 = 0x8000_0051;
/// Once: remap a device's MSI-X table. Today the hypervisor emulates the table itself.
#[doc(alias = "HC_VM_PCI_MSIX_REMAP")]
pub const VM_PCI_MSIX_REMAP: u64 = 0x8000_0052;
