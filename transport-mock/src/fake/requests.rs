//! I/O requests: what a User VM's vCPU asks the device model, through a page of slots.
//!
//! The other side of the page, a guest that accesses ports and memory, is played by a test. Rules: ACRN
//! `hcall_set_ioreq_buffer`, `hcall_notify_ioreq_finish` (common/hypercall.c), `emulate_io`, `acrn_insert_request`,
//! `acrn_insert_asyncio`, `dm_emulate_io_complete`, `complete_ioreq`, `reset_vm_ioreqs` (dm/io_req.c),
//! `pio_instr_vmexit_handler`, `ept_violation_vmexit_handler`, `emulate_pio_complete` (arch/x86/guest/vmx_io.c),
//! `wait_event`, `signal_event` (common/event.c), `triple_fault_shutdown_vm` (arch/x86/guest/vm_reset.c).

use super::{
    access::{Access, AccessError, AccessOutcome, MMIO, PIO, READ, cut, prepare, set_low},
    answer::{Answer, ENOTTY, REFUSED},
    machine::Machine,
    rings::Put,
    vm::{Request, VcpuState, VmState, Waiting},
};

pub(crate) const SLOTS: u64 = 16;
pub(crate) const SLOT_SIZE: u64 = 256;
/// Offset of the state word in a slot.
pub(crate) const STATE: u64 = 136;
pub(crate) const PENDING: u32 = 0;
pub(crate) const COMPLETE: u32 = 1;
pub(crate) const FREE: u32 = 3;

/// The port and value by which a triple fault asks the device model to power the VM off.
const PM1A_CONTROL: u64 = 0x404;
const SLEEP_S5: u64 = 0x2000 | 5 << 10;
/// `VM_EVENT_TRIPLE_FAULT`.
const TRIPLE_FAULT: u32 = 2;

impl Machine {
    pub(crate) fn set_request_page(&mut self, number: u16, gpa: u64) -> Answer {
        let hpa = self.service_hpa(gpa);
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Created {
            return Err(REFUSED);
        }
        // Host address 0 is a null pointer to ACRN: success, and no page.
        slot.request_page = hpa.filter(|hpa| *hpa != 0);
        if hpa.is_none() {
            return Err(REFUSED);
        }
        self.free_requests(number);
        Ok(())
    }

    /// Sets every slot's state to FREE, and nothing else.
    pub(crate) fn free_requests(&mut self, number: u16) {
        if let Some(page) = self.slot(number).and_then(|slot| slot.request_page) {
            for slot in 0..SLOTS {
                self.memory.write_u32(state_address(page, slot), FREE);
            }
        }
    }

    pub(crate) fn notify(&mut self, number: u16, vcpu: u16) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        let refused = !self.in_reach(slot)
            || slot.state == VmState::PoweredOff
            || slot.request_page.is_none();
        if refused {
            return Err(REFUSED);
        }
        let polling = slot.polling;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        let waiter = slot.vcpu_mut(vcpu).ok_or(REFUSED)?;
        if polling {
            return Ok(());
        }
        waiter.signalled = true;
        if waiter.waiting == Waiting::Event {
            self.wake(number, vcpu);
        }
        Ok(())
    }

    /// Lets every vCPU that polls, or waits for room in a ring, look again.
    pub(crate) fn progress(&mut self) {
        if !self.lookers {
            return;
        }
        self.lookers = false;
        for number in (0_u16..).take(self.slots.len()) {
            for vcpu in (0_u16..).take(self.slot(number).map_or(0, |slot| slot.vcpus.len())) {
                match self.looking(number, vcpu) {
                    Waiting::Polling if self.request_state(number, vcpu) == Some(COMPLETE) => {
                        self.finish(number, vcpu);
                    }
                    Waiting::Ring(descriptor) if self.put_asyncio(number, descriptor) => {
                        self.go_on(number, vcpu, None);
                    }
                    Waiting::Polling | Waiting::Ring(_) => self.lookers = true,
                    Waiting::No | Waiting::Event => {}
                }
            }
        }
    }

    /// What a vCPU waits for. One that was stopped looks no more.
    fn looking(&self, number: u16, vcpu: u16) -> Waiting {
        self.slot(number)
            .and_then(|slot| slot.vcpu(vcpu))
            .filter(|vcpu| vcpu.state == VcpuState::Running)
            .map_or(Waiting::No, |vcpu| vcpu.waiting)
    }

    /// The event that a vCPU waits for came.
    fn wake(&mut self, number: u16, vcpu: u16) {
        if let Some(vcpu) = self.slot_mut(number).and_then(|slot| slot.vcpu_mut(vcpu)) {
            vcpu.signalled = false;
        }
        self.finish(number, vcpu);
    }

    /// The vCPU stops waiting and takes its answer, if there is one.
    fn finish(&mut self, number: u16, vcpu: u16) {
        let mut answer = None;
        if self.request_state(number, vcpu) == Some(COMPLETE)
            && let Some(at) = self.slot_address(number, vcpu)
        {
            let given = self.memory.read_u64(at.wrapping_add(88));
            if let Some(vcpu) = self.slot_mut(number).and_then(|slot| slot.vcpu_mut(vcpu)) {
                // A vCPU that was stopped meanwhile takes nothing.
                if vcpu.state != VcpuState::Zombie {
                    match vcpu.request.kind {
                        PIO => set_low(&mut vcpu.request.value, given),
                        MMIO => vcpu.request.value = given,
                        _ => {}
                    }
                    if vcpu.request.direction == READ {
                        answer = Some(cut(vcpu.request.value, vcpu.request.size));
                    }
                }
            }
            self.memory.write_u32(at.wrapping_add(STATE), FREE);
        }
        self.go_on(number, vcpu, answer);
    }

    fn go_on(&mut self, number: u16, vcpu: u16, answer: Option<u64>) {
        if let Some(vcpu) = self.slot_mut(number).and_then(|slot| slot.vcpu_mut(vcpu)) {
            vcpu.waiting = Waiting::No;
            vcpu.completed = answer;
        }
    }

    /// A guest's access, up to the point where its vCPU waits or goes on.
    pub(crate) fn access(
        &mut self,
        number: u16,
        vcpu: u16,
        access: Access,
    ) -> Result<AccessOutcome, AccessError> {
        if self.dead.is_some() {
            return Err(AccessError::Down);
        }
        self.progress();
        let slot = self.slot_mut(number).ok_or(AccessError::NotRunning)?;
        let running = slot.state == VmState::Running;
        let busy = slot.vcpu_mut(vcpu).ok_or(AccessError::NotRunning)?;
        if !running || busy.state != VcpuState::Running {
            return Err(AccessError::NotRunning);
        }
        if busy.waiting != Waiting::No {
            return Err(AccessError::Busy);
        }
        prepare(&mut busy.request, access)?;
        busy.completed = None;
        let request = busy.request;
        if let Some(descriptor) = self.asyncio_for(number, &request)? {
            if self.put_asyncio(number, descriptor) {
                return Ok(AccessOutcome::Asynchronous);
            }
            self.wait(number, vcpu, Waiting::Ring(descriptor));
            return Ok(AccessOutcome::RingFull);
        }
        self.insert_request(number, vcpu, &request)
    }

    fn insert_request(
        &mut self,
        number: u16,
        vcpu: u16,
        request: &Request,
    ) -> Result<AccessOutcome, AccessError> {
        if self.request_state(number, vcpu) != Some(FREE) {
            return Err(AccessError::NoSlot);
        }
        let at = self.slot_address(number, vcpu).ok_or(AccessError::NoSlot)?;
        let polling = self.slot(number).is_some_and(|slot| slot.polling);
        self.memory.write_u32(at, request.kind);
        if polling {
            self.memory.write_u32(at.wrapping_add(4), 1);
        }
        self.memory.write(at.wrapping_add(64), &request.encode());
        self.memory.write_u32(at.wrapping_add(STATE), PENDING);
        self.upcall();
        if polling {
            self.wait(number, vcpu, Waiting::Polling);
            return Ok(AccessOutcome::Waiting);
        }
        let signalled = self
            .slot(number)
            .and_then(|slot| slot.vcpu(vcpu))
            .is_some_and(|vcpu| vcpu.signalled);
        if signalled {
            // A notification that nobody waited for ends the next wait at once.
            self.wake(number, vcpu);
            return Ok(AccessOutcome::Done(None));
        }
        self.wait(number, vcpu, Waiting::Event);
        Ok(AccessOutcome::Waiting)
    }

    fn wait(&mut self, number: u16, vcpu: u16, waiting: Waiting) {
        if let Some(vcpu) = self.slot_mut(number).and_then(|slot| slot.vcpu_mut(vcpu)) {
            vcpu.waiting = waiting;
        }
        self.lookers |= waiting != Waiting::Event;
    }

    /// What a vCPU's last access has come to.
    pub(crate) fn outcome(&mut self, number: u16, vcpu: u16) -> Option<AccessOutcome> {
        self.progress();
        let vcpu = self.slot(number)?.vcpu(vcpu)?;
        Some(match vcpu.waiting {
            Waiting::No => AccessOutcome::Done(vcpu.completed),
            Waiting::Event | Waiting::Polling => AccessOutcome::Waiting,
            Waiting::Ring(_) => AccessOutcome::RingFull,
        })
    }

    /// A guest's triple fault: an event for the device model, then the request to power off.
    pub(crate) fn triple_fault(
        &mut self,
        number: u16,
        vcpu: u16,
    ) -> Result<AccessOutcome, AccessError> {
        let runs = self
            .slot(number)
            .is_some_and(|slot| slot.state == VmState::Running && slot.vcpu(vcpu).is_some());
        if self.dead.is_some() {
            return Err(AccessError::Down);
        }
        if !runs {
            return Err(AccessError::NotRunning);
        }
        self.send_event(number, TRIPLE_FAULT);
        self.access(
            number,
            vcpu,
            Access::PortWrite {
                port: PM1A_CONTROL as u16,
                size: 2,
                value: SLEEP_S5 as u32,
            },
        )
    }

    fn asyncio_for(&mut self, number: u16, request: &Request) -> Result<Option<u64>, AccessError> {
        let Some(slot) = self.slot(number).filter(|slot| slot.asyncio_ring.is_some()) else {
            return Ok(None);
        };
        let found = match request.kind {
            PIO => slot
                .asyncio
                .matching(1, request.address, request.value & 0xffff_ffff),
            MMIO => slot.asyncio.matching(2, request.address, request.value),
            _ => Ok(None),
        };
        found.map_err(|fail| {
            if let super::answer::Fail::Dead(hazard) = fail {
                self.dead = Some(hazard);
            }
            AccessError::Down
        })
    }

    /// Puts a descriptor into the ring; `false` where it is full.
    fn put_asyncio(&mut self, number: u16, descriptor: u64) -> bool {
        let Some(ring) = self.slot(number).and_then(|slot| slot.asyncio_ring) else {
            return true;
        };
        if self.ring_put(ring, &descriptor.to_le_bytes()) == Put::Full {
            return false;
        }
        self.upcall();
        true
    }

    /// Host address of a vCPU's slot.
    pub(crate) fn slot_address(&self, number: u16, vcpu: u16) -> Option<u64> {
        let page = self.slot(number)?.request_page?;
        Some(page.wrapping_add(u64::from(vcpu).wrapping_mul(SLOT_SIZE)))
    }

    pub(crate) fn request_state(&self, number: u16, vcpu: u16) -> Option<u32> {
        let at = self.slot_address(number, vcpu)?;
        Some(self.memory.read_u32(at.wrapping_add(STATE)))
    }
}

fn state_address(page: u64, slot: u64) -> u64 {
    page.wrapping_add(slot.wrapping_mul(SLOT_SIZE))
        .wrapping_add(STATE)
}
