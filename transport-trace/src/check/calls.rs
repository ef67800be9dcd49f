//! In which states of a VM ACRN accepts its calls.

use crate::state::VmState::{self, Created, Paused, Running};

/// The states in which a call about a VM succeeds. `None` where any will do.
pub(super) fn accepted(call: &str) -> Option<&'static [VmState]> {
    Some(match call {
        "destroy_vm" | "reset_vm" => &[Paused],
        "start_vm"
        | "set_ioreq_buffer"
        | "set_ptdev_intr_info"
        | "assign_pcidev"
        | "assign_mmiodev"
        | "add_vdev" => &[Created],
        "set_vcpu_regs"
        | "reset_ptdev_intr_info"
        | "deassign_pcidev"
        | "deassign_mmiodev"
        | "remove_vdev"
        | "pm_get_px_count"
        | "pm_get_px_data"
        | "pm_get_cx_count"
        | "pm_get_cx_data" => &[Created, Paused],
        "pause_vm"
        | "inject_msi"
        | "vm_intr_monitor"
        | "set_irqline"
        | "notify_request_finish"
        | "asyncio_assign"
        | "asyncio_deassign"
        | "vm_gpa2hpa"
        | "set_memory_regions"
        | "write_protect_page" => &[Created, Running, Paused],
        _ => return None,
    })
}
