//! The secure world beside an Android VM (Trusty), and the trusted VM beside a rich one (OP-TEE): how they start.
//!
//! These calls are made by the VM concerned, not by the Service VM. How they hand over afterwards is
//! [`world`](super::world).

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout::{layout, zero_default};
use crate::{Gpa, Payload, open_enum};

/// Where the secure world lies and starts, and the key of its protected storage.
///
/// `Debug` does not show the key, and neither do traces.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C, align(8))]
#[payload(c = "trusty_boot_param")]
#[doc(alias = "trusty_boot_param")]
pub struct TrustyBootParam {
    /// Bytes of this struct, 96.
    #[payload(units = "bytes")]
    pub size_of_this_struct: u32,
    /// 1: addresses have 32 bits and there is no key. 2: all fields count. The hypervisor refuses others.
    pub version: u32,
    /// Where the memory starts: lower half.
    // In the memory that the caller has.
    #[payload(address)]
    pub base_addr: u32,
    /// The first instruction: lower half.
    #[payload(address)]
    pub entry_point: u32,
    /// How much memory.
    #[payload(units = "bytes")]
    pub mem_size: u32,
    /// Zero.
    #[payload(reserved)]
    pub padding: u32,
    /// Where the memory starts: upper half.
    #[payload(address)]
    pub base_addr_high: u32,
    /// The first instruction: upper half.
    #[payload(address)]
    pub entry_point_high: u32,
    /// The key of the replay-protected memory block.
    #[payload(secret)]
    pub rpmb_key: [u8; 64],
}
layout!(TrustyBootParam: 96 bytes, align 8 {
    size_of_this_struct @ 0, version @ 4, base_addr @ 8, entry_point @ 12, mem_size @ 16, padding @ 20,
    base_addr_high @ 24, entry_point_high @ 28, rpmb_key @ 32,
});
zero_default!(TrustyBootParam);

impl TrustyBootParam {
    /// Version 2: memory of `mem_size` bytes at `base`, the first instruction at `entry`, and a key.
    #[must_use]
    pub const fn new(base: Gpa, entry: Gpa, mem_size: u32, rpmb_key: [u8; 64]) -> Self {
        Self {
            size_of_this_struct: 96,
            version: 2,
            base_addr: low(base),
            entry_point: low(entry),
            mem_size,
            padding: 0,
            base_addr_high: high(base),
            entry_point_high: high(entry),
            rpmb_key,
        }
    }

    /// Where the memory starts, as the hypervisor reads it.
    #[must_use]
    pub fn base(&self) -> Gpa {
        self.address(self.base_addr, self.base_addr_high)
    }

    /// The first instruction, as the hypervisor reads it.
    #[must_use]
    pub fn entry(&self) -> Gpa {
        self.address(self.entry_point, self.entry_point_high)
    }

    fn address(&self, low: u32, high: u32) -> Gpa {
        let high = if self.version == 1 { 0 } else { high };
        Gpa(u64::from(low) | u64::from(high) << 32)
    }
}

const fn low(address: Gpa) -> u32 {
    let [a, b, c, d, ..] = address.0.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

const fn high(address: Gpa) -> u32 {
    let [.., a, b, c, d] = address.0.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl fmt::Debug for TrustyBootParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustyBootParam")
            .field("size_of_this_struct", &self.size_of_this_struct)
            .field("version", &self.version)
            .field("base", &self.base())
            .field("entry", &self.entry())
            .field("mem_size", &self.mem_size)
            .field("rpmb_key", &format_args!("<secret>"))
            .finish_non_exhaustive()
    }
}

open_enum! {
    /// What a vCPU of the trusted VM wants when it has booted. All 64 bits count, and every value but
    /// [`START_REE`](Self::START_REE) only puts the vCPU to sleep.
    pub struct TeeBoot(u64) {
        /// Sleep.
        SLEEP = 0,
        /// Start the rich VM, then sleep.
        START_REE = 1,
    }
}
