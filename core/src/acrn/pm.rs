//! The power states of a VM's processors, as its ACPI tables describe them.

use core::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ids::{VcpuId, VmId};
use super::layout::{layout, zero_default};
use crate::schema::{Field, FieldInfo, Kind, Role, StructInfo};
use crate::{Payload, Value, open_enum};

open_enum! {
    /// What [`PmCommand`] asks for: its lowest byte. The client sets it; each has a method of its own.
    #[doc(alias = "acrn_pm_cmd_type")]
    pub struct PmKind(u8) {
        /// How many performance states there are.
        #[doc(alias = "ACRN_PMCMD_GET_PX_CNT")]
        PX_COUNT = 0,
        /// One performance state.
        #[doc(alias = "ACRN_PMCMD_GET_PX_DATA")]
        PX_DATA = 1,
        /// How many idle states there are.
        #[doc(alias = "ACRN_PMCMD_GET_CX_CNT")]
        CX_COUNT = 2,
        /// One idle state.
        #[doc(alias = "ACRN_PMCMD_GET_CX_DATA")]
        CX_DATA = 3,
    }
}

/// Which VM, vCPU and state a question about power is for: VM in bits 31:24, vCPU in 23:16, number of the state in
/// 15:8, kind in 7:0.
///
/// The VM has 8 bits here, as nowhere else. The hypervisor keeps its tables for each VM and does not look at the
/// vCPU.
///
/// ```
/// use hypercall_core::acrn::{PmCommand, VmId};
///
/// let second = PmCommand::new(VmId(1)).with_state(2);
/// assert_eq!(second, PmCommand(0x0100_0200));
/// assert_eq!((second.vm(), second.state()), (VmId(1), 2));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PmCommand(
    /// The register's value.
    pub u64,
);

/// What the bytes of a [`PmCommand`] are: one of them names the VM, which another run may know by another number.
const PM_COMMAND: Kind = {
    const fn byte(name: &'static str, offset: usize, kind: Kind, role: Role) -> FieldInfo {
        FieldInfo {
            name,
            c_name: name,
            offset,
            size: 1,
            kind,
            role,
            units: "",
        }
    }
    static FIELDS: [FieldInfo; 5] = [
        byte("kind", 0, <PmKind as Field>::KIND, Role::Plain),
        byte("state", 1, Kind::Unsigned, Role::Plain),
        byte("vcpu", 2, <VcpuId as Field>::KIND, Role::Plain),
        byte("vm", 3, <VmId as Field>::KIND, Role::Handle),
        FieldInfo {
            size: 4,
            ..byte("ignored", 4, Kind::Unsigned, Role::Plain)
        },
    ];
    static INFO: StructInfo = StructInfo {
        name: "PmCommand",
        c_name: "PmCommand",
        size: 8,
        align: 8,
        fields: &FIELDS,
    };
    Kind::Struct(&INFO)
};

impl Value for PmCommand {
    const KIND: Kind = PM_COMMAND;

    #[inline]
    fn to_register(self) -> u64 {
        self.0
    }

    #[inline]
    fn from_register(raw: u64) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for PmCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("PmCommand");
        shown
            .field("kind", &self.kind())
            .field("state", &self.state())
            .field("vcpu", &self.vcpu())
            .field("vm", &self.vm());
        match self.0 >> 32 {
            0 => shown.finish(),
            rest => shown.field("ignored", &format_args!("{rest:#x}")).finish(),
        }
    }
}

impl PmCommand {
    /// A question about this VM, of whose id the low 8 bits count; vCPU 0, state 0.
    #[must_use]
    pub const fn new(vm: VmId) -> Self {
        Self(((vm.0 & 0xff) as u64) << 24)
    }

    /// The same question about another vCPU, of whose id the low 8 bits count.
    #[must_use]
    pub const fn with_vcpu(self, vcpu: VcpuId) -> Self {
        Self((self.0 & !0x00ff_0000) | ((vcpu.0 & 0xff) as u64) << 16)
    }

    /// The same question about another state. Performance states count from 0, idle states from 1.
    #[must_use]
    pub const fn with_state(self, state: u8) -> Self {
        Self((self.0 & !0xff00) | (state as u64) << 8)
    }

    /// The VM.
    #[must_use]
    pub const fn vm(self) -> VmId {
        let [_, _, _, vm, ..] = self.0.to_le_bytes();
        VmId(vm as u16)
    }

    /// The vCPU.
    #[must_use]
    pub const fn vcpu(self) -> VcpuId {
        let [_, _, vcpu, ..] = self.0.to_le_bytes();
        VcpuId(vcpu as u16)
    }

    /// The number of the state.
    #[must_use]
    pub const fn state(self) -> u8 {
        let [_, state, ..] = self.0.to_le_bytes();
        state
    }

    /// What is asked.
    #[must_use]
    pub const fn kind(self) -> PmKind {
        let [kind, ..] = self.0.to_le_bytes();
        PmKind(kind)
    }
}

/// One performance state of a processor: ACPI's `_PSS` entry.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_pstate_data")]
#[doc(alias = "acrn_pstate_data")]
pub struct PstateData {
    /// Clock of the core.
    #[payload(units = "MHz")]
    pub core_frequency: u64,
    /// Power that the state takes.
    #[payload(units = "mW")]
    pub power: u64,
    /// How long a change to this state takes.
    #[payload(units = "µs")]
    pub transition_latency: u64,
    /// How long bus masters may be kept from memory meanwhile.
    #[payload(units = "µs")]
    pub bus_master_latency: u64,
    /// What to write to the control register to enter the state.
    pub control: u64,
    /// What the status register reads once it is entered.
    pub status: u64,
}
layout!(PstateData: 48 bytes, align 8 {
    core_frequency @ 0, power @ 8, transition_latency @ 16, bus_master_latency @ 24, control @ 32, status @ 40,
});
zero_default!(PstateData);

open_enum! {
    /// What kind of address a [`GenericAddress`] is (ACPI specification, 5.2.3.2).
    pub struct AddressSpace(u8) {
        /// Memory.
        #[doc(alias = "SPACE_SYSTEM_MEMORY")]
        SYSTEM_MEMORY = 0,
        /// An I/O port.
        #[doc(alias = "SPACE_SYSTEM_IO")]
        SYSTEM_IO = 1,
        /// PCI configuration space.
        #[doc(alias = "SPACE_PCI_CONFIG")]
        PCI_CONFIG = 2,
        /// The embedded controller.
        #[doc(alias = "SPACE_Embedded_Control")]
        EMBEDDED_CONTROL = 3,
        /// The system management bus.
        #[doc(alias = "SPACE_SMBUS")]
        SMBUS = 4,
        /// A platform communication channel.
        #[doc(alias = "SPACE_PLATFORM_COMM")]
        PLATFORM_COMM = 10,
        /// An instruction of the processor, such as MWAIT.
        #[doc(alias = "SPACE_FFixedHW")]
        FIXED_HARDWARE = 0x7f,
    }
}

/// ACPI's generic address: a register anywhere. Packed, so the address is read by [`address`](Self::address).
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C, packed)]
#[payload(c = "acrn_acpi_generic_address")]
#[doc(alias = "acrn_acpi_generic_address")]
pub struct GenericAddress {
    /// What kind of address it is.
    #[payload(c = "space_id")]
    pub space: AddressSpace,
    /// Width of the register in bits.
    #[payload(units = "bits")]
    pub bit_width: u8,
    /// First bit of the register.
    pub bit_offset: u8,
    /// How wide an access must be: 1 to 4 for 1, 2, 4 or 8 bytes, 0 when it does not matter.
    pub access_size: u8,
    address: u64,
}
layout!(GenericAddress: 12 bytes, align 1 {
    space @ 0, bit_width @ 1, bit_offset @ 2, access_size @ 3, address @ 4,
});
zero_default!(GenericAddress);

impl GenericAddress {
    /// A register of `bit_width` bits from bit 0 on, accessed in any width.
    #[must_use]
    pub const fn new(space: AddressSpace, bit_width: u8, address: u64) -> Self {
        Self {
            space,
            bit_width,
            bit_offset: 0,
            access_size: 0,
            address,
        }
    }

    /// The address in its space.
    #[must_use]
    pub const fn address(&self) -> u64 {
        self.address
    }
}

impl fmt::Debug for GenericAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericAddress")
            .field("space", &self.space)
            .field("bit_width", &self.bit_width)
            .field("bit_offset", &self.bit_offset)
            .field("access_size", &self.access_size)
            .field("address", &self.address())
            .finish()
    }
}

/// One idle state of a processor: ACPI's `_CST` entry.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_cstate_data")]
#[doc(alias = "acrn_cstate_data")]
pub struct CstateData {
    /// What to read, or which instruction to execute, to enter the state.
    pub cx_reg: GenericAddress,
    /// The state: 1 for C1, 2 for C2, 3 for C3.
    #[payload(c = "type")]
    pub kind: u8,
    /// Zero. C has no name for these three bytes.
    #[payload(reserved)]
    pub pad0: [u8; 3],
    /// How long it takes to leave the state.
    #[payload(units = "µs")]
    pub latency: u32,
    /// Zero. C has no name for these four bytes.
    #[payload(reserved)]
    pub pad1: u32,
    /// Power that the state takes.
    #[payload(units = "mW")]
    pub power: u64,
}
layout!(CstateData: 32 bytes, align 8 { cx_reg @ 0, kind @ 12, pad0 @ 13, latency @ 16, pad1 @ 20, power @ 24 });
zero_default!(CstateData);
