//! A VM's life: created, started, paused, reset, destroyed. And the names that slots go by.
//!
//! Rules: ACRN `hcall_create_vm`, `hcall_destroy_vm`, `hcall_start_vm`, `hcall_pause_vm`, `hcall_reset_vm`,
//! `hcall_set_vcpu_regs`, `hcall_service_vm_offline_cpu` (common/hypercall.c), `allocate_dynamical_vmid`
//! (arch/x86/guest/vmcall.c), `create_vm`, `shutdown_vm`, `pause_vm`, `reset_vm`, `get_sworld_vm_index`
//! (arch/x86/guest/vm.c), `create_vcpu`, `offline_vcpu` (arch/x86/guest/vcpu.c).

use alloc::{format, vec::Vec};

use super::{
    answer::{Answer, EINVAL, ENOTTY, Fail, REFUSED, crash, hang},
    config::{Build, LoadOrder, vm_name},
    ept::{Ept, READ, RWX, UNCACHED, WRITE, WRITE_BACK},
    machine::{
        APIC_BASE, COMPLETION_POLLING, LAPIC_PASSTHROUGH, Machine, PMU_PASSTHROUGH, REAL_TIME,
        SECURE_WORLD, STATELESS, STATIC_VM,
    },
    memory::PAGE,
    vm::{ApicMode, Registers, Vcpu, VcpuState, VmState, Waiting},
};

/// Where a secure world is mapped in its VM (`TRUSTY_EPT_REBASE_GPA`), and its size (`TRUSTY_RAM_SIZE`).
const SECURE_WORLD_GPA: u64 = 511 << 30;
const SECURE_WORLD_SIZE: u64 = 16 << 20;

/// What CREATE_VM is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: [u8; 16],
    pub(crate) flags: u64,
    pub(crate) affinity: u64,
}

/// What CREATE_VM did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// The new VM's id as the Service VM uses it, and its vCPUs.
    Vm { id: u16, vcpus: u16 },
    /// RAX is 0, and the block says that there is none.
    Failed,
}

impl Machine {
    /// The slot for a name: the one that has it, or the first that is neither configured nor named.
    pub(crate) fn slot_for(&mut self, wanted: &Wanted) -> Answer<u16> {
        let named = |name: &[u8; 16]| {
            wanted.name.first() != Some(&0) && c_string(name) == c_string(&wanted.name)
        };
        let known = self.slots.iter().position(|slot| named(&slot.config.name));
        let unused = self.slots.iter().position(|slot| {
            slot.config.name.first() == Some(&0) && slot.config.flags & STATIC_VM == 0
        });
        let number = known.or(unused).ok_or(ENOTTY)?;
        if let Some(slot) = self.slots.get_mut(number) {
            if known.is_none() {
                slot.config.name = wanted.name;
                slot.config.affinity = wanted.affinity;
            }
            slot.id = u16::try_from(number).unwrap_or(0);
        }
        u16::try_from(number).map_err(|_| ENOTTY)
    }

    /// Creates a VM in a slot, with the configuration of the number that the slot believes to have.
    pub(crate) fn create_in(&mut self, number: u16, wanted: &Wanted) -> Answer<Created> {
        let believed = self.slot(number).ok_or(ENOTTY)?.id;
        let outcome = self.create_checked(believed, wanted);
        self.forget_name(number, &outcome);
        outcome
    }

    /// A CREATE_VM that made no VM takes the name of a slot that is not configured. Also where a VM of that name lives:
    /// the name is gone, the VM is not.
    pub(crate) fn forget_name(&mut self, number: u16, outcome: &Answer<Created>) {
        let believed = self.slot(number).map_or(number, |slot| slot.id);
        if matches!(outcome, Err(Fail::Code(_)) | Ok(Created::Failed))
            && let Some(slot) = self.slot_mut(believed)
            && slot.config.flags & STATIC_VM == 0
        {
            slot.config.name = [0; 16];
        }
    }

    fn create_checked(&mut self, number: u16, wanted: &Wanted) -> Answer<Created> {
        let kept = self.device_model_flags();
        let slot = self.slot_mut(number).ok_or(REFUSED)?;
        if slot.state != VmState::PoweredOff {
            return Err(REFUSED);
        }
        slot.config.flags = (slot.config.flags & !kept) | (wanted.flags & kept);
        if wanted.affinity & !slot.config.affinity != 0 {
            return Err(REFUSED);
        }
        let affinity = match wanted.affinity {
            0 => slot.config.affinity,
            some => some,
        };
        if slot.config.flags & LAPIC_PASSTHROUGH != 0 && slot.config.flags & REAL_TIME == 0 {
            return Err(REFUSED);
        }
        match self.create(number, affinity) {
            Ok(()) => {
                let slot = self.slot(number).ok_or(REFUSED)?;
                Ok(Created::Vm {
                    id: number.wrapping_sub(self.service),
                    vcpus: u16::try_from(slot.vcpus.len()).unwrap_or(u16::MAX),
                })
            }
            Err(Fail::Code(_)) => {
                if let Some(slot) = self.slot_mut(number) {
                    slot.ept.zero_root();
                }
                Ok(Created::Failed)
            }
            Err(dead) => Err(dead),
        }
    }

    /// The flags that the device model may choose (`DM_OWNED_GUEST_FLAG_MASK`).
    fn device_model_flags(&self) -> u64 {
        let always = SECURE_WORLD | LAPIC_PASSTHROUGH | COMPLETION_POLLING | REAL_TIME;
        match self.config.build {
            Build::Debug => always | PMU_PASSTHROUGH,
            Build::Release => always,
        }
    }

    /// Steps that fail early leave the slot powered off; steps that fail late leave a VM without memory behind.
    fn create(&mut self, number: u16, affinity: u64) -> Answer {
        let config = &self.slot(number).ok_or(REFUSED)?.config;
        let (flags, load_order, lines) = (config.flags, config.load_order, config.lines.clone());
        let shape = self.shape(flags & REAL_TIME != 0);
        let secure_index = self.secure_world_index(number);
        let secure_worlds = self.config.memory.secure_worlds;
        let slot = self.slot_mut(number).ok_or(REFUSED)?;
        slot.vcpus.clear();
        slot.ept = Ept::new(shape);
        slot.secure_world |= flags & SECURE_WORLD != 0;
        if slot.secure_world {
            let index = secure_index.ok_or(EINVAL)?;
            let hpa = secure_worlds.wrapping_add(u64::from(index).wrapping_mul(SECURE_WORLD_SIZE));
            slot.ept
                .add(hpa, SECURE_WORLD_GPA, SECURE_WORLD_SIZE, RWX | WRITE_BACK)?;
        }
        if slot.config.name.first() == Some(&0) {
            slot.config.name = vm_name(&format!("ACRN VM_{number}"));
        }
        slot.apic = ApicMode::XApic;
        slot.interrupt_delay = 0;
        slot.event_ring = None;
        slot.request_page = None;
        slot.asyncio_ring = None;
        slot.injections.clear();
        slot.polling |= load_order == LoadOrder::PostLaunched && flags & COMPLETION_POLLING != 0;
        slot.state = VmState::Created;
        self.attach_remembered_vdevs(number);
        self.create_vcpus(number, affinity)?;
        for (virtual_gsi, physical_gsi) in lines {
            if let Err(fail) = self.pass_line(number, virtual_gsi, physical_gsi, false) {
                self.release_configured_lines(number);
                return Err(fail);
            }
        }
        Ok(())
    }

    fn create_vcpus(&mut self, number: u16, affinity: u64) -> Answer {
        let pcpus = self.config.pcpus;
        let apic_page = self.config.memory.apic_access_page;
        let slot = self.slot_mut(number).ok_or(REFUSED)?;
        for pcpu in 0..64_u16 {
            if affinity.wrapping_shr(u32::from(pcpu)) & 1 == 0 {
                continue;
            }
            if pcpu >= pcpus {
                return Err(crash(
                    "CREATE_VM with a cpu_affinity that names a processor that does not exist (ACRN create_vcpu)",
                ));
            }
            if slot.vcpus.is_empty() {
                slot.ept
                    .add(apic_page, APIC_BASE, PAGE, READ | WRITE | UNCACHED)?;
            }
            slot.vcpus.push(Vcpu::new(pcpu));
            slot.update_apic();
        }
        Ok(())
    }

    /// Which secure world's memory a slot gets: the number of slots with the flag before it.
    fn secure_world_index(&self, number: u16) -> Option<u16> {
        let has = |at: u16| {
            self.slot(at)
                .is_some_and(|slot| slot.config.flags & SECURE_WORLD != 0)
        };
        if !has(number) {
            return None;
        }
        let before = u16::try_from((0..number).filter(|at| has(*at)).count()).ok()?;
        (before < self.config.trusty_vms).then_some(before)
    }

    pub(crate) fn destroy(&mut self, number: u16) -> Answer {
        let kept = self.device_model_flags();
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Paused {
            return Err(REFUSED);
        }
        slot.state = VmState::PoweredOff;
        self.release_configured_lines(number);
        self.detach_all(number);
        self.end_secure_world(number)?;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        slot.ept.zero_root();
        slot.set_vcpus(VcpuState::Offline);
        slot.config.flags &= !kept;
        if slot.config.flags & STATIC_VM == 0 {
            slot.config.name = [0; 16];
        }
        let all_off = self.slots.iter().all(|slot| {
            slot.state == VmState::PoweredOff || self.config_of(slot).flags & STATELESS != 0
        });
        if all_off {
            return Err(hang(
                "the last VM with a state of its own is gone, so the machine is switched off (ACRN shutdown_vm)",
            ));
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, number: u16) -> Answer {
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Created || slot.request_page.is_none() {
            return Err(REFUSED);
        }
        slot.state = VmState::Running;
        let Some(first) = slot.vcpu_mut(0) else {
            return Err(crash(
                "START_VM of a VM without vCPUs starts one that was never set up (ACRN start_vm)",
            ));
        };
        first.state = VcpuState::Running;
        slot.update_apic();
        Ok(())
    }

    pub(crate) fn pause(&mut self, number: u16) -> Answer {
        let caller = number == self.service;
        let slot = self.slot(number).ok_or(ENOTTY)?;
        let in_reach = self.in_reach(slot);
        let stops = match slot.state {
            VmState::PoweredOff => return Err(REFUSED),
            VmState::Running => in_reach,
            VmState::Created | VmState::ReadyToPowerOff => true,
            VmState::Paused => false,
        };
        if !stops {
            return Ok(());
        }
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        slot.set_vcpus(VcpuState::Zombie);
        slot.state = VmState::Paused;
        if caller {
            return Err(hang(
                "PAUSE_VM of the Service VM pauses its own caller (ACRN pause_vm)",
            ));
        }
        Ok(())
    }

    pub(crate) fn reset(&mut self, number: u16) -> Answer {
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Paused {
            return Err(REFUSED);
        }
        for vcpu in &mut slot.vcpus {
            if vcpu.state != VcpuState::Offline {
                vcpu.registers = None;
                vcpu.waiting = Waiting::No;
                vcpu.signalled = false;
            }
        }
        slot.set_vcpus(VcpuState::Init);
        slot.apic = ApicMode::XApic;
        slot.state = VmState::Created;
        self.free_requests(number);
        self.end_secure_world(number)
    }

    pub(crate) fn set_vcpu_regs(&mut self, number: u16, vcpu: u16, registers: Registers) -> Answer {
        let (cr0, cr4) = (self.config.cr0, self.config.cr4);
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if matches!(slot.state, VmState::PoweredOff | VmState::Running) {
            return Err(REFUSED);
        }
        let vcpu = slot.vcpu_mut(vcpu).ok_or(REFUSED)?;
        if vcpu.state == VcpuState::Offline
            || !cr0.takes(registers.cr0)
            || !cr4.takes(registers.cr4)
        {
            return Err(REFUSED);
        }
        vcpu.registers = Some(registers);
        Ok(())
    }

    /// An id that no vCPU has is not an error.
    pub(crate) fn offline_cpu(&mut self, lapic: u32) -> Answer {
        let service = self.service;
        let slot = self.slot_mut(service).ok_or(REFUSED)?;
        for (position, vcpu) in slot.vcpus.iter_mut().enumerate() {
            if vcpu.state != VcpuState::Offline && u32::from(vcpu.pcpu) == lapic {
                if position == 0 {
                    return Err(REFUSED);
                }
                vcpu.state = VcpuState::Offline;
            }
        }
        slot.update_apic();
        Ok(())
    }

    /// Ids of VMs that exist, as the Service VM uses them.
    pub(crate) fn living(&self) -> Vec<u16> {
        (0_u16..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.state != VmState::PoweredOff)
            .map(|(number, _)| number.wrapping_sub(self.service))
            .collect()
    }
}

/// A name as far as C sees it.
pub(crate) fn c_string(name: &[u8; 16]) -> &[u8] {
    name.split(|byte| *byte == 0).next().unwrap_or(name)
}
