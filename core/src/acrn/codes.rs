//! What ACRN leaves in RAX when it refuses.
//!
//! The hypervisor keeps its result as a 32-bit integer and sign-extends it. 0 is success; the negative values below
//! are the ones that its handlers produce, with the numbers of Linux's `errno`. `-1` is the default of most handlers
//! and says no more than "refused": each call's hint tells what to check. A value that is not listed is passed on as
//! it came, never taken for one of these.
//!
//! Release 3.3 of ACRN did not write RAX at all for `-13` and `-19`, so there a caller may see the register's old
//! value.

use crate::call::CodeInfo;

/// `EPERM`: refused, no reason given. The default of most handlers.
pub const EPERM: i64 = -1;
/// `EIO`: a pass-through device's I/O ports are not where the machine has them. Only
/// [`assign_pcidev`](super::Hypervisor::assign_pcidev) answers it.
pub const EIO: i64 = -5;
/// `EACCES`: not permitted. Only the value that the exit handler starts from.
pub const EACCES: i64 = -13;
/// `EFAULT`: a step of the hypervisor's own failed.
pub const EFAULT: i64 = -14;
/// `ENODEV`: no such device, or it cannot be assigned.
pub const ENODEV: i64 = -19;
/// `EINVAL`: an argument, or the state of the VM, does not fit.
pub const EINVAL: i64 = -22;
/// `ENOTTY`: no such call, a call that this VM may not make, or no such target VM.
pub const ENOTTY: i64 = -25;
/// `ETIMEDOUT`: a step of the hypervisor's own did not finish in time.
pub const ETIMEDOUT: i64 = -110;

/// ACRN's codes, with the text that an error shows.
pub const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: EPERM,
        name: "EPERM",
        text: "refused; the hypervisor gives no reason",
    },
    CodeInfo {
        code: EIO,
        name: "EIO",
        text: "input or output failed",
    },
    CodeInfo {
        code: EACCES,
        name: "EACCES",
        text: "not permitted",
    },
    CodeInfo {
        code: EFAULT,
        name: "EFAULT",
        text: "a step inside the hypervisor failed",
    },
    CodeInfo {
        code: ENODEV,
        name: "ENODEV",
        text: "no such device, or it cannot be assigned",
    },
    CodeInfo {
        code: EINVAL,
        name: "EINVAL",
        text: "an argument, or the VM's state, does not fit",
    },
    CodeInfo {
        code: ENOTTY,
        name: "ENOTTY",
        text: "no such call, not permitted to this VM, or no such target VM",
    },
    CodeInfo {
        code: ETIMEDOUT,
        name: "ETIMEDOUT",
        text: "a step inside the hypervisor timed out",
    },
];
