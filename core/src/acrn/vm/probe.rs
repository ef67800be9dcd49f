//! Which state a VM is in, found by calls that change nothing.

use crate::acrn::{Hypervisor, MmioDevice, PmCommand, VmId, WriteProtect, codes};
use crate::{Error, Gpa};

/// A VM's state, as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VmState {
    /// There is no VM in this slot.
    #[doc(alias = "VM_POWERED_OFF")]
    PoweredOff,
    /// It was created or reset, and not started since.
    #[doc(alias = "VM_CREATED")]
    Created,
    /// It was started. Also a real-time VM that switched itself off and waits to be paused, which answers as a running
    /// one does.
    #[doc(alias = "VM_RUNNING")]
    #[doc(alias = "VM_READY_TO_POWEROFF")]
    Running,
    /// It was paused.
    #[doc(alias = "VM_PAUSED")]
    Paused,
}

impl VmState {
    /// Asks the hypervisor. No call answers the question, so this reads it from which calls succeed, and takes two that
    /// have no effect in any state:
    ///
    /// | question | created | running | paused | powered off | source |
    /// |---|---|---|---|---|---|
    /// | 1. [`pm_get_cx_count`](Hypervisor::pm_get_cx_count) | 0 | -1 | 0 | -1 | `hcall_get_cpu_pm_state`: looks at the state first, and writes one byte for the caller |
    /// | 2. after 0: [`assign_mmiodev`](Hypervisor::assign_mmiodev) of a device without registers | 0 | | -22 | | `hcall_assign_mmiodev`: three ranges of 0 bytes, for which `ept_del_mr` and `ept_add_mr` change no entry |
    /// | 2. after -1: [`write_protect_page`](Hypervisor::write_protect_page) at address 1 | | -22 | | -1 | `hcall_write_protect_page`: after the state, the severity and the alignment are looked at, before any page |
    ///
    /// The others do not serve: `START_VM` and `PAUSE_VM` act; `VM_GPA2HPA`, `INJECT_MSI` and `SET_IRQLINE` give the
    /// same -1 for a state as for an address, a severity or a line; `NOTIFY_REQUEST_FINISH` wakes a vCPU; assigning a
    /// PCI function that does not exist would answer -19, which release 3.3 does not write to RAX.
    ///
    /// The hypervisor answers under the VM's lock, so a call that was under way is over when it answers. A VM of this
    /// caller's making changes its state by itself only from running, and the questions are in such an order that the
    /// answer was true at some time between them.
    ///
    /// It cannot tell whether the VM in this slot is the one that was there before.
    ///
    /// # Errors
    /// An answer that is not in the table, such as -25 for an id that no VM can have, and a call that got no answer.
    pub fn of(hypervisor: &(impl Hypervisor + ?Sized), vm: VmId) -> Result<Self, Error> {
        let error = match hypervisor.pm_get_cx_count(PmCommand::new(vm)) {
            Ok(_) => match hypervisor.assign_mmiodev(vm, &MmioDevice::default()) {
                Ok(()) => return Ok(Self::Created),
                Err(error) if error.code() == Some(codes::EINVAL) => return Ok(Self::Paused),
                Err(error) => error,
            },
            Err(error) if error.code() == Some(codes::EPERM) => {
                // Unaligned, so it is refused in every state; and were it not, it would give a right back.
                match hypervisor.write_protect_page(vm, &WriteProtect::unprotect(Gpa(1))) {
                    Err(error) if error.code() == Some(codes::EINVAL) => return Ok(Self::Running),
                    Err(error) if error.code() == Some(codes::EPERM) => {
                        return Ok(Self::PoweredOff);
                    }
                    Err(error) => error,
                    Ok(()) => nonsense(vm),
                }
            }
            Err(error) => error,
        };
        Err(error)
    }
}

/// An unaligned page was accepted: this is no ACRN.
#[cold]
fn nonsense(vm: VmId) -> Error {
    Error {
        call: crate::acrn::HypervisorCalls::WRITE_PROTECT_PAGE,
        args: [u64::from(vm.0), 0],
        rax: 0,
        kind: crate::ErrorKind::Nonsense,
    }
}
