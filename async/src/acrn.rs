//! The async twin of ACRN's interface.

use hypercall_core::acrn::*;
use hypercall_core::{Error, Hpa, PageAligned, SharedRef};

hypercall_core::hypervisor_interface!(crate::async_twin);
