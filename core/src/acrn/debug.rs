//! Calls that only debug builds of the hypervisor answer: log, profiling, and how many processors there are.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout::{layout, zero_default};
use crate::{Hpa, Payload, open_enum};

/// How many physical processors the hypervisor runs on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C, align(8))]
#[payload(c = "acrn_hw_info")]
#[doc(alias = "acrn_hw_info")]
pub struct HwInfo {
    /// Physical processors. Their ids are 0 to one less.
    pub cpu_num: u16,
    /// Zero.
    #[payload(reserved)]
    pub reserved: [u16; 3],
}
layout!(HwInfo: 8 bytes, align 8 { cpu_num @ 0, reserved @ 2 });
zero_default!(HwInfo);

impl HwInfo {
    /// A machine with so many processors, for those who answer the call.
    #[must_use]
    pub const fn new(cpu_num: u16) -> Self {
        Self {
            cpu_num,
            reserved: [0; 3],
        }
    }
}

open_enum! {
    /// What to do with the log to the trace hub (`HV_NPK_LOG_CMD_…` in `debug/npk_log.c`).
    pub struct NpkLogCommand(u16) {
        /// Remember address and level.
        #[doc(alias = "HV_NPK_LOG_CMD_CONF")]
        CONFIGURE = 1,
        /// Remember address and level, and start to log.
        #[doc(alias = "HV_NPK_LOG_CMD_ENABLE")]
        ENABLE = 2,
        /// Stop.
        #[doc(alias = "HV_NPK_LOG_CMD_DISABLE")]
        DISABLE = 3,
        /// Say how things are.
        #[doc(alias = "HV_NPK_LOG_CMD_QUERY")]
        QUERY = 4,
    }
}

open_enum! {
    /// What came of it (`HV_NPK_LOG_RES_…`). RAX is 0 in every case.
    pub struct NpkLogResult(u16) {
        /// Not written by the hypervisor.
        #[doc(alias = "HV_NPK_LOG_RES_INVALID")]
        INVALID = 0,
        /// Done.
        #[doc(alias = "HV_NPK_LOG_RES_OK")]
        OK = 1,
        /// Not done: an unknown command, nothing to configure, no address, or another call at the same time.
        #[doc(alias = "HV_NPK_LOG_RES_KO")]
        FAILED = 2,
        /// Answer to a query: it logs.
        #[doc(alias = "HV_NPK_LOG_RES_ENABLED")]
        ENABLED = 3,
        /// Answer to a query: it does not log.
        #[doc(alias = "HV_NPK_LOG_RES_DISABLED")]
        DISABLED = 4,
    }
}

/// The hypervisor's log to Intel's trace hub ("North Peak").
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "hv_npk_log_param")]
#[doc(alias = "hv_npk_log_param")]
pub struct NpkLog {
    /// In: what to do.
    #[payload(c = "cmd")]
    pub command: NpkLogCommand,
    /// Out: what came of it.
    #[payload(c = "res")]
    pub result: NpkLogResult,
    /// In: up to which level messages go to the hub, 0xffff for no change. Out, after a query: the level.
    pub loglevel: u16,
    /// Zero.
    #[payload(reserved)]
    pub reserved: u16,
    /// In: the hub's registers in the machine's memory, 0 for no change. Out, after a query: the address.
    pub mmio_addr: Hpa,
}
layout!(NpkLog: 16 bytes, align 8 { command @ 0, result @ 2, loglevel @ 4, reserved @ 6, mmio_addr @ 8 });
zero_default!(NpkLog);

impl NpkLog {
    /// [`loglevel`](Self::loglevel) that changes nothing.
    pub const SAME_LEVEL: u16 = 0xffff;

    /// A command that changes neither level nor address.
    #[must_use]
    pub const fn new(command: NpkLogCommand) -> Self {
        Self {
            command,
            result: NpkLogResult::INVALID,
            loglevel: Self::SAME_LEVEL,
            reserved: 0,
            mmio_addr: Hpa(0),
        }
    }
}

open_enum! {
    /// What the profiling driver asks for. All 64 bits count. The buffers' layouts are private to the hypervisor and
    /// its driver (`profiling_internal.h`), so they are bytes here.
    #[doc(alias = "profiling_cmd_type")]
    pub struct ProfilingCommand(u64) {
        /// Read and write model-specific registers on all processors.
        #[doc(alias = "PROFILING_MSR_OPS")]
        MSR_OPS = 0,
        /// Which VMs there are, and where their vCPUs run.
        #[doc(alias = "PROFILING_GET_VMINFO")]
        GET_VM_INFO = 1,
        /// The version of the profiling interface.
        #[doc(alias = "PROFILING_GET_VERSION")]
        GET_VERSION = 2,
        /// Which features are on.
        #[doc(alias = "PROFILING_GET_CONTROL_SWITCH")]
        GET_CONTROL_SWITCH = 3,
        /// Switch features on or off.
        #[doc(alias = "PROFILING_SET_CONTROL_SWITCH")]
        SET_CONTROL_SWITCH = 4,
        /// Set up interrupts of the performance counters.
        #[doc(alias = "PROFILING_CONFIG_PMI")]
        CONFIG_PMI = 5,
        /// Set up what is recorded when a processor changes between VMs.
        #[doc(alias = "PROFILING_CONFIG_VMSWITCH")]
        CONFIG_VM_SWITCH = 6,
        /// What CPUID says on the physical processor.
        #[doc(alias = "PROFILING_GET_PCPUID")]
        GET_PCPUID = 7,
        /// How many samples there were.
        #[doc(alias = "PROFILING_GET_STATUS")]
        GET_STATUS = 8,
    }
}
