//! What the hypervisor is to its guest: answers to hypercalls by the framework's dispatcher in front of the fake ACRN.

mod leaves;

use bare::control::{Answer, Role, Shown};
use hypercall_conformance::Player;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::{
    Hypervisor as _, MemoryProt, MemoryRegion, VmCreation, VmFlags, VmId, VmName,
};
use hypercall_core::server::Registers;
use hypercall_core::{Gpa, TransportError};
use hypercall_mock::fake::{FakeAcrn, FakeConfig};

use crate::cpu::{self, Place};
use crate::guest_memory::{GuestRam, SIZE};
use crate::hostile::misanswer;
use crate::orders::{Orders, Sabotage};
use crate::timer;
use crate::worlds::Worlds;

/// What becomes of a hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// RAX.
    Rax(i64),
    /// An exception.
    Fault(u8),
    /// The other world runs now; its registers and its place are in.
    Switched,
    /// The machine would not have survived it.
    Dead(&'static str),
}

/// The hypervisor's own state.
pub struct Host {
    fake: FakeAcrn,
    ram: GuestRam,
    shown: Shown,
    answer: Answer,
    /// The id that is given to a new VM under [`Answer::WrongVm`].
    wrong_vm: u16,
    worlds: Worlds,
    player: Player,
    /// Interrupts of the timer that were seen, and whether a User VM's turn came with one.
    ticks: u64,
    due: bool,
    /// The User VM does not wait for the guest to be able to take an upcall.
    at_tick: bool,
    /// Upcalls that the guest was told of, by vector.
    told: [u64; 256],
    about: u32,
    tsc_khz: Option<u32>,
    orders: Orders,
    calls: u64,
}

impl Host {
    /// The recorded machine, whose Service VM is the guest. `about` is for the guest that asks; `tsc_khz` is what was measured
    /// here.
    pub fn new(ram: GuestRam, about: u32, orders: Orders, tsc_khz: Option<u32>) -> Self {
        let mut host = Self {
            fake: FakeAcrn::new(),
            ram,
            shown: Shown::Acrn,
            answer: Answer::Honest,
            wrong_vm: 0,
            worlds: Worlds::new(),
            player: Player::new(),
            ticks: 0,
            due: false,
            at_tick: false,
            told: [0; 256],
            about,
            tsc_khz,
            orders,
            calls: 0,
        };
        host.reset(Role::ServiceVm);
        host
    }

    /// Boots the machine anew. Its memory up to 64 MiB is the guest's own.
    fn reset(&mut self, caller: Role) {
        let mut config = FakeConfig {
            trusty_vms: u16::from(caller == Role::SecureVm),
            ..FakeConfig::default()
        };
        if caller == Role::TrustedVm {
            // The Service VM is the rich one.
            for (vm, flag) in config.vms.iter_mut().zip([VmFlags::REE, VmFlags::TEE]) {
                vm.flags |= flag.bits();
            }
        }
        self.fake = FakeAcrn::with_config(config);
        for gpa in (0..SIZE).step_by(4096) {
            if let Some(page) = self.ram.page(gpa) {
                self.fake.mount_at(Gpa(gpa), page);
            }
        }
        self.worlds.reset();
        if let Some(vm) = self.user_vm(caller) {
            let user_vm = self.fake.called_by(vm);
            let service_vm = core::mem::replace(&mut self.fake, user_vm);
            self.worlds.beside(service_vm);
        }
        self.due = false;
        self.at_tick = false;
        self.player = Player::new();
        self.told = [0; 256];
        self.answer = Answer::Honest;
    }

    /// The VM that the guest is, if it is not the Service VM. It has the guest's memory.
    fn user_vm(&self, role: Role) -> Option<VmId> {
        let flags = match role {
            Role::ServiceVm => return None,
            Role::SecureVm => VmFlags::SECURE_WORLD,
            Role::PlainVm | Role::TrustedVm => VmFlags::empty(),
        };
        let name = VmName::new("POST_STD_VM1").ok()?;
        let vm = self
            .fake
            .create_vm(&mut VmCreation::new(name).with_flags(flags))
            .ok()?;
        let memory = MemoryRegion::map(Gpa(0), Gpa(0), SIZE, MemoryProt::RAM);
        self.fake.set_memory_regions(vm, &[memory]).ok()?;
        Some(vm)
    }

    /// The interrupt that the guest asked for: whether the trusted VM runs now, and not the rich one that stood here.
    pub fn secure_interrupt(&mut self, registers: &mut cpu::Registers, place: &mut Place) -> bool {
        self.worlds.take_interrupt(&mut self.fake, registers, place)
    }

    /// Whether the guest's serial port takes no more bytes from this call on.
    pub fn mutes(&self) -> bool {
        self.orders.sabotage == Sabotage::Mute(self.calls)
    }

    /// Whether the guest's report of an exception gets one from this call on.
    pub fn faults_again(&self) -> bool {
        self.orders.sabotage == Sabotage::Nested(self.calls)
    }

    /// Answers a hypercall.
    pub fn vmcall(
        &mut self,
        registers: &mut cpu::Registers,
        place: &mut Place,
        privilege: u8,
    ) -> Answered {
        let call = Registers {
            number: registers.r8,
            args: [registers.rdi, registers.rsi],
        };
        self.calls = self.calls.wrapping_add(1);
        match self.orders.sabotage {
            Sabotage::Wrong(at) if at == self.calls => return Answered::Rax(-77),
            Sabotage::Fault(at) | Sabotage::Nested(at) if at == self.calls => {
                return Answered::Fault(13);
            }
            Sabotage::Crash(at) if at == self.calls => {
                return Answered::Dead("the runner asked for it");
            }
            _ => {}
        }
        if privilege == 0
            && let Some(rax) = misanswer(
                self.answer,
                call,
                registers.rax.cast_signed(),
                self.wrong_vm,
                &self.fake,
            )
        {
            return Answered::Rax(rax);
        }
        if privilege == 0
            && let Some(answered) = self.worlds.switch(&mut self.fake, registers, place)
        {
            return answered;
        }
        let server = AcrnServer::new(self.fake.clone());
        let answer = server.vmcall(call, privilege, &self.fake);
        if answer == Ok(0)
            && let Some(answered) = self.worlds.started(&mut self.fake, registers, place)
        {
            return answered;
        }
        match answer {
            Ok(rax) => Answered::Rax(rax),
            Err(TransportError::Fault(vector)) => Answered::Fault(vector),
            Err(TransportError::Dead(hazard)) => Answered::Dead(match hazard {
                hypercall_core::Hazard::Crashed(why) | hypercall_core::Hazard::Hung(why) => why,
            }),
            Err(_) => Answered::Dead("the fake has no answer"),
        }
    }

    /// The hypervisor's timer may have gone off.
    pub fn look_at_timer(&mut self) {
        let ticks = timer::ticks();
        if ticks != self.ticks {
            self.ticks = ticks;
            self.due = true;
            if self.at_tick {
                self.play();
            }
        }
    }

    /// The guest can take an upcall now: a User VM whose turn it is makes its next access. Returns the vector of an upcall
    /// that the guest was not told of yet.
    pub fn when_open(&mut self) -> Option<u8> {
        if self.due && !self.upcall_waits() {
            self.play();
        }
        let vector = u8::try_from(self.fake.upcall_vector()).ok()?;
        if !self.upcall_waits() {
            return None;
        }
        let told = self.told.get_mut(usize::from(vector))?;
        *told += 1;
        Some(vector)
    }

    /// Whether there is something to do when the guest can take an upcall.
    pub fn wants_window(&self) -> bool {
        self.due || self.upcall_waits()
    }

    fn upcall_waits(&self) -> bool {
        u8::try_from(self.fake.upcall_vector()).is_ok_and(|vector| {
            let told = self.told.get(usize::from(vector));
            told.is_some_and(|told| self.fake.upcalls(vector) > *told)
        })
    }

    /// A User VM that runs makes its next access.
    fn play(&mut self) {
        self.due = false;
        self.player.play(&self.fake);
    }
}
