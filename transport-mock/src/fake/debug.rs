//! What only debug builds answer: the log through the trace hub, profiling.
//!
//! Rules: ACRN `npk_log_setup` (debug/npk_log.c), `hcall_profiling_ops` (debug/hypercall.c), `profiling_…`
//! (debug/profiling.c), release/hypercall.c.

use alloc::vec::Vec;

use hypercall_core::{
    Hpa,
    acrn::{NpkLog, NpkLogCommand, NpkLogResult, ProfilingCommand},
};

use super::{
    answer::{Answer, EINVAL, REFUSED},
    config::Build,
    machine::Machine,
    vm::{VcpuState, VmState},
};

/// The log through the trace hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Npk {
    enabled: bool,
    base: u64,
    level: u16,
}

/// Bytes of `profiling_msr_ops_list`, for each processor.
const MSR_OPS: usize = 256;
/// Bytes of `profiling_version_info`, `profiling_control`, `profiling_pcpuid`, `profiling_status`.
const VERSION: usize = 24;
const CONTROL: usize = 16;
const PCPUID: usize = 24;
const STATUS: usize = 8;
/// Bytes of `profiling_pmi_config` and `profiling_vmsw_config`: lists of 15 entries of 16 bytes.
const PMI: usize = 8 + 5 * 15 * 16;
const VMSW: usize = 8 + 3 * 15 * 16;

impl Machine {
    pub(crate) fn debug_only(&self) -> Answer {
        match self.config.build {
            Build::Debug => Ok(()),
            Build::Release => Err(REFUSED),
        }
    }

    pub(crate) fn npk_log(&mut self, log: &mut NpkLog) -> Answer {
        self.debug_only()?;
        let npk = &mut self.npk;
        log.result = NpkLogResult::FAILED;
        match log.command {
            NpkLogCommand::CONFIGURE | NpkLogCommand::ENABLE => {
                let says_something = log.mmio_addr.0 != 0 || log.loglevel != NpkLog::SAME_LEVEL;
                if log.command == NpkLogCommand::CONFIGURE && says_something {
                    log.result = NpkLogResult::OK;
                }
                if log.mmio_addr.0 != 0 {
                    npk.base = log.mmio_addr.0;
                }
                if log.loglevel != NpkLog::SAME_LEVEL {
                    npk.level = log.loglevel;
                }
                if log.command == NpkLogCommand::ENABLE && npk.base != 0 {
                    npk.enabled = true;
                    log.result = NpkLogResult::OK;
                }
            }
            NpkLogCommand::DISABLE => {
                npk.enabled = false;
                log.result = NpkLogResult::OK;
            }
            NpkLogCommand::QUERY => {
                log.result = if npk.enabled {
                    NpkLogResult::ENABLED
                } else {
                    NpkLogResult::DISABLED
                };
                log.loglevel = npk.level;
                log.mmio_addr = Hpa(npk.base);
            }
            _ => {}
        }
        Ok(())
    }

    /// Bytes that a profiling command reads from its buffer, and writes back.
    pub(crate) fn profiling_extent(&self, command: ProfilingCommand) -> usize {
        let cpus = usize::from(self.config.pcpus);
        match command {
            ProfilingCommand::MSR_OPS => cpus.saturating_mul(MSR_OPS),
            ProfilingCommand::GET_VM_INFO => self.vm_info_size(),
            ProfilingCommand::GET_VERSION => VERSION,
            ProfilingCommand::GET_CONTROL_SWITCH | ProfilingCommand::SET_CONTROL_SWITCH => CONTROL,
            ProfilingCommand::CONFIG_PMI => PMI,
            ProfilingCommand::CONFIG_VM_SWITCH => VMSW,
            ProfilingCommand::GET_PCPUID => PCPUID,
            ProfilingCommand::GET_STATUS => cpus.saturating_mul(STATUS),
            _ => 0,
        }
    }

    fn vm_info_size(&self) -> usize {
        let cpus = usize::from(self.config.pcpus);
        let entry = cpus.saturating_mul(8).saturating_add(20);
        usize::from(self.config.max_vms)
            .saturating_add(1)
            .saturating_mul(entry)
            .saturating_add(4)
    }

    /// The commands that are a question are answered; those that program counters are taken note of.
    pub(crate) fn profiling(&mut self, command: ProfilingCommand, buffer: &mut [u8]) -> Answer {
        self.debug_only()?;
        if command.name().is_none() {
            return Err(REFUSED);
        }
        let wanted = self.profiling_extent(command);
        let block = buffer.get_mut(..wanted).ok_or(EINVAL)?;
        match command {
            ProfilingCommand::GET_VERSION => {
                // 1.0; sampling, counting, branch records, VM switches.
                put(block, 0, &1_u32.to_le_bytes());
                put(block, 4, &0_u32.to_le_bytes());
                put(block, 8, &0b10_1011_u64.to_le_bytes());
            }
            ProfilingCommand::GET_CONTROL_SWITCH if word(block, 0) == 0 => {
                put(block, 8, &self.sampling_switches.to_le_bytes());
            }
            ProfilingCommand::SET_CONTROL_SWITCH if word(block, 0) == 0 => {
                let low = word(block, 8);
                let high = word(block, 12);
                self.sampling_switches = u64::from(high) << 32 | u64::from(low);
            }
            ProfilingCommand::CONFIG_PMI if word(block, 0) != 1 => return Err(EINVAL),
            ProfilingCommand::CONFIG_VM_SWITCH if word(block, 0) > 1 => return Err(EINVAL),
            // The registers of the real processor, of which the fake knows nothing.
            ProfilingCommand::GET_PCPUID => block.iter_mut().skip(8).for_each(|byte| *byte = 0),
            ProfilingCommand::GET_STATUS => block.fill(0),
            ProfilingCommand::GET_VM_INFO => self.vm_info(block),
            _ => {}
        }
        Ok(())
    }

    /// `profiling_vm_info_list`: the hypervisor first, then VMs by slot up to the first that is powered off.
    fn vm_info(&self, block: &mut [u8]) {
        let cpus: Vec<u16> = (0..self.config.pcpus).collect();
        let entry = cpus.len().saturating_mul(8).saturating_add(20);
        let mut at = 4_usize;
        let mut count = 1_u16;
        put_vm(block, at, u16::MAX, b"VMM\0", &cpus);
        for (number, slot) in (0_u16..).zip(&self.slots) {
            if slot.state == VmState::PoweredOff {
                break;
            }
            at = at.saturating_add(entry);
            count = count.saturating_add(1);
            let name = alloc::format!("vm_{number}\0");
            let online = slot
                .vcpus
                .iter()
                .filter(|vcpu| vcpu.state != VcpuState::Offline);
            let vcpus: Vec<u16> = online.map(|vcpu| vcpu.pcpu).collect();
            put_vm(block, at, number, name.as_bytes(), &vcpus);
        }
        put(block, 0, &count.to_le_bytes());
    }
}

fn put_vm(block: &mut [u8], at: usize, id: u16, name: &[u8], pcpus: &[u16]) {
    put(block, at, &id.to_le_bytes());
    put(block, at.saturating_add(2), name);
    let count = u16::try_from(pcpus.len()).unwrap_or(u16::MAX);
    put(block, at.saturating_add(18), &count.to_le_bytes());
    for ((vcpu, pcpu), place) in (0_u16..)
        .zip(pcpus)
        .zip((at.saturating_add(20)..).step_by(8))
    {
        put(block, place, &vcpu.to_le_bytes());
        put(block, place.saturating_add(2), &pcpu.to_le_bytes());
        let apic = if id == u16::MAX { u32::from(*pcpu) } else { 0 };
        put(block, place.saturating_add(4), &apic.to_le_bytes());
    }
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, from) in block.iter_mut().skip(at).zip(bytes) {
        *to = *from;
    }
}

fn word(block: &[u8], at: usize) -> u32 {
    block
        .get(at..at.saturating_add(4))
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}
