//! What a kernel has: detection, one `unsafe` block with its promises, and typed calls.
#![allow(
    unsafe_code,
    reason = "building the VMCALL transport is a promise about memory"
)]

use hypercall::acrn::{ApiVersion, Hypervisor};
use hypercall::vmcall::{Acrn, NotAvailable, Translate, Vmcall, detect};
use hypercall::{Client, Error};

/// Why there is no hypervisor to talk to.
#[derive(Debug)]
pub enum Unavailable {
    /// None that this code may call.
    Detection(NotAvailable),
    /// It answered, and not as it should.
    Hypervisor(Error),
}

/// Where this kernel maps all physical memory, in one piece.
const DIRECT_MAP: u64 = 0xffff_8880_0000_0000;
/// Bytes of physical memory in the direct map.
const DIRECT_MAP_SIZE: u64 = 64 << 30;

/// Finds physical addresses in the direct map.
#[derive(Clone, Copy, Debug)]
pub struct DirectMap;

// SAFETY: the direct map is linear and never changes, so a block inside it is contiguous, and its physical address is its
// distance from the map's start. Everything else is `None`: a stack or an allocation elsewhere is refused.
unsafe impl Translate for DirectMap {
    fn translate(&self, start: *const u8, length: usize) -> Option<u64> {
        let physical = u64::try_from(start.addr()).ok()?.checked_sub(DIRECT_MAP)?;
        let end = physical.checked_add(u64::try_from(length).ok()?)?;
        (end <= DIRECT_MAP_SIZE).then_some(physical)
    }
}

/// The hypervisor, if there is one.
fn hypervisor(acrn: Acrn) -> Client<Vmcall<DirectMap>> {
    // SAFETY: `acrn` says that this is ring 0 under ACRN, and this kernel stays there. `DirectMap` is right about the
    // memory of this kernel. It puts no address of its own memory into a payload, and pauses no VM but its guests.
    Client::new(unsafe { Vmcall::new(acrn, DirectMap) })
}

/// Called once at boot.
pub fn bring_up() -> Result<ApiVersion, Unavailable> {
    // First of all: `detect` is safe anywhere, and without its proof there is no transport.
    let acrn = detect().map_err(Unavailable::Detection)?;
    let version = hypervisor(acrn)
        .get_api_version()
        .map_err(Unavailable::Hypervisor)?;
    Ok(version)
}
