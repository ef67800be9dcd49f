//! What a test sees of the machine, beside what its calls answer.

use alloc::{string::String, vec::Vec};

use hypercall_core::{
    Gpa, Hazard, Hpa, SharedPage,
    acrn::{AsyncIoInfo, AsyncIoKind, PcpuId, VcpuId, VmFlags, VmId},
};

use super::{
    FakeAcrn,
    ept::{READ, WRITE},
    lifecycle::c_string,
    machine::Machine,
    vm::{Injection, Registers, Slot, VcpuState, VmState, Waiting},
};

/// A VM slot, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmView {
    /// The id that the Service VM uses.
    pub id: VmId,
    /// Its state.
    pub state: VmState,
    /// The slot's name: empty where the slot is free, or its name was taken away.
    pub name: String,
    /// The configuration's flags, with those that the last CREATE_VM set.
    pub flags: VmFlags,
    /// Its vCPUs.
    pub vcpus: Vec<VcpuView>,
    /// Host address of the I/O request page.
    pub request_page: Option<Hpa>,
    /// Host address of the ring of asynchronous I/Os.
    pub asyncio_ring: Option<Hpa>,
    /// Host address of the ring of VM events.
    pub event_ring: Option<Hpa>,
    /// Asynchronous I/Os, the newest first.
    pub asyncio: Vec<AsyncIoInfo>,
    /// vCPUs poll for completion instead of waiting for a notification. Never cleared.
    pub polling: bool,
    /// A CREATE_VM asked for a secure world once. Never cleared.
    pub secure_world: bool,
    /// Interrupts of passed-through devices are delayed by so many milliseconds.
    pub interrupt_delay: u64,
    /// Virtual and physical BDF of every function on its bus; no physical one for emulated functions.
    pub functions: Vec<(u16, Option<u16>)>,
}

/// A vCPU, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VcpuView {
    /// What it does.
    pub state: VcpuState,
    /// The processor it runs on.
    pub pcpu: PcpuId,
    /// It waits for the device model.
    pub waiting: bool,
    /// What SET_VCPU_REGS set, where it did since the vCPU was reset.
    pub registers: Option<Registers>,
}

/// A stretch of a VM's memory map with one translation and one set of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mapping {
    /// First guest physical address.
    pub gpa: Gpa,
    /// Where it leads.
    pub hpa: Hpa,
    /// Bytes.
    pub size: u64,
    /// The VM may read.
    pub read: bool,
    /// The VM may write.
    pub write: bool,
    /// The VM may execute. Large pages may lack the right until the VM first executes there.
    pub execute: bool,
}

impl FakeAcrn {
    /// A slot, whether there is a VM in it or not. `None` for ids that are not slots.
    #[must_use]
    pub fn vm(&self, vm: VmId) -> Option<VmView> {
        let machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine.slot(number).map(|slot| view(vm, slot))
    }

    /// The state of a slot. [`VmState::PoweredOff`] for ids that are not slots.
    #[must_use]
    pub fn state(&self, vm: VmId) -> VmState {
        self.vm(vm).map_or(VmState::PoweredOff, |vm| vm.state)
    }

    /// VMs that exist, the Service VM first.
    #[must_use]
    pub fn vms(&self) -> Vec<VmId> {
        self.lock().living().into_iter().map(VmId).collect()
    }

    /// The name of every slot, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock().slots.iter().map(name).collect()
    }

    /// A VM's memory map in order of addresses, neighbours joined.
    #[must_use]
    pub fn mappings(&self, vm: VmId) -> Vec<Mapping> {
        let machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        let mut map: Vec<Mapping> = Vec::new();
        if let Some(slot) = machine.slot(number) {
            slot.ept.for_each(|gpa, found| {
                let new = Mapping {
                    gpa: Gpa(gpa),
                    hpa: Hpa(found.hpa),
                    size: found.page,
                    read: found.prot & READ != 0,
                    write: found.prot & WRITE != 0,
                    execute: Machine::executable(found.prot),
                };
                match map.last_mut() {
                    Some(last) if last.continues_with(&new) => {
                        last.size = last.size.saturating_add(new.size)
                    }
                    _ => map.push(new),
                }
            });
        }
        map
    }

    /// Where a VM's address leads, as VM_GPA2HPA answers it.
    #[must_use]
    pub fn translate(&self, vm: VmId, gpa: Gpa) -> Option<Hpa> {
        let machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine
            .slot(number)?
            .ept
            .lookup(gpa.0)
            .map(|found| Hpa(found.hpa))
    }

    /// Interrupts that reached a VM since it was created, the oldest first; the last 4096.
    #[must_use]
    pub fn injections(&self, vm: VmId) -> Vec<Injection> {
        let machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        machine
            .slot(number)
            .map(|slot| slot.injections.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Upcalls of a vector so far.
    #[must_use]
    pub fn upcalls(&self, vector: u8) -> u64 {
        let machine = self.lock();
        machine
            .upcalls
            .get(&u32::from(vector))
            .copied()
            .unwrap_or(0)
    }

    /// The vector of upcalls.
    #[must_use]
    pub fn upcall_vector(&self) -> u32 {
        self.lock().upcall_vector
    }

    /// Host address of a processor's buffer 0 to 3.
    #[must_use]
    pub fn cpu_sbuf(&self, pcpu: PcpuId, id: u32) -> Option<Hpa> {
        let machine = self.lock();
        let buffers = machine.cpu_buffers.get(usize::from(pcpu.0))?;
        buffers.get(usize::try_from(id).ok()?)?.map(Hpa)
    }

    /// What brought the machine down. It answers nothing until [`reset`](Self::reset).
    #[must_use]
    pub fn down(&self) -> Option<Hazard> {
        self.lock().dead
    }

    /// EAX, EBX, ECX and EDX of a CPUID leaf, as far as they tell about the hypervisor; 0 otherwise.
    #[must_use]
    pub fn cpuid(&self, leaf: u32) -> [u32; 4] {
        super::cpuid::leaf(&self.lock(), leaf)
    }

    /// The state of a vCPU's slot in the request page.
    #[must_use]
    pub fn request_state(&self, vm: VmId, vcpu: VcpuId) -> Option<u32> {
        let machine = self.lock();
        machine.request_state(machine.service.wrapping_add(vm.0), vcpu.0)
    }

    /// Reads a VM's memory as its processor does. What it may not read gives ones.
    pub fn read_memory(&self, vm: VmId, gpa: Gpa, bytes: &mut [u8]) {
        let mut machine = self.lock();
        machine.progress();
        let number = machine.service.wrapping_add(vm.0);
        machine.cpu_read(number, gpa.0, bytes);
    }

    /// Writes a VM's memory as its processor does. Returns how many bytes it stored: what it may not write is lost.
    pub fn write_memory(&self, vm: VmId, gpa: Gpa, bytes: &[u8]) -> usize {
        let mut machine = self.lock();
        let number = machine.service.wrapping_add(vm.0);
        let stored = machine.cpu_write(number, gpa.0, bytes);
        machine.progress();
        stored
    }

    /// Makes a live page of this program the Service VM's memory at a page-aligned address of RAM. What was there is
    /// gone; what other VMs have mapped there is now this page too. `false` where there is no RAM.
    pub fn mount_at(&self, gpa: Gpa, page: &'static SharedPage) -> bool {
        let mut machine = self.lock();
        let hpa = machine.service_hpa(gpa.0).filter(|hpa| hpa % 4096 == 0);
        hpa.is_some_and(|hpa| machine.memory.mount(hpa, page))
    }
}

impl Mapping {
    fn continues_with(&self, next: &Self) -> bool {
        self.gpa.0.checked_add(self.size) == Some(next.gpa.0)
            && self.hpa.0.checked_add(self.size) == Some(next.hpa.0)
            && (self.read, self.write, self.execute) == (next.read, next.write, next.execute)
    }
}

fn name(slot: &Slot) -> String {
    String::from_utf8_lossy(c_string(&slot.config.name)).into_owned()
}

fn view(id: VmId, slot: &Slot) -> VmView {
    VmView {
        id,
        state: slot.state,
        name: name(slot),
        flags: VmFlags::from_bits_retain(slot.config.flags),
        vcpus: slot
            .vcpus
            .iter()
            .map(|vcpu| VcpuView {
                state: vcpu.state,
                pcpu: PcpuId(vcpu.pcpu),
                waiting: vcpu.waiting != Waiting::No,
                registers: vcpu.registers,
            })
            .collect(),
        request_page: slot.request_page.map(Hpa),
        asyncio_ring: slot.asyncio_ring.map(Hpa),
        event_ring: slot.event_ring.map(Hpa),
        asyncio: slot
            .asyncio
            .iter()
            .map(|entry| AsyncIoInfo {
                kind: AsyncIoKind(entry.kind),
                match_data: entry.match_data,
                addr: Gpa(entry.address),
                fd: entry.fd,
                data: entry.data,
            })
            .collect(),
        polling: slot.polling,
        secure_world: slot.secure_world,
        interrupt_delay: slot.interrupt_delay,
        functions: slot
            .vdevs
            .iter()
            .map(|vdev| (vdev.bdf, vdev.physical))
            .collect(),
    }
}
