//! The suite over a fake ACRN, and the User VM that the fake has no processor for.

use core::cell::{Cell, RefCell};

use hypercall::acrn::server::AcrnServer;
use hypercall::acrn::{
    Hypervisor as _, HypervisorCalls as Calls, SWITCH_EE, SwitchRefused, TeeBoot, TeeReply,
    TeeRequest, TrustyBootParam, VcpuId, VmId, WORLD_SWITCH, WorldMessage, WorldSwitch,
};
use hypercall::call::CallInfo;
use hypercall::server::Registers;
use hypercall::{Error, Gpa, SharedPage, TransportError, Value as _};
use hypercall_mock::fake::{self, AccessOutcome, FakeAcrn, VcpuState};

use crate::program::{Access, PROGRAM_ENTRY, next_access};
use crate::{LENT_AT, LENT_PAGES, Lent, Surroundings};

/// Pages for a run over a fake. One run uses them at a time.
pub static PAGES: [SharedPage; LENT_PAGES] = [const { SharedPage::new() }; LENT_PAGES];

/// Plays the User VM: makes the accesses of its program, one at a time.
#[derive(Debug, Default)]
pub struct Player {
    vm: Option<VmId>,
    made: usize,
}

impl Player {
    /// A player that has made no access.
    #[must_use]
    pub const fn new() -> Self {
        Self { vm: None, made: 0 }
    }

    /// Lets the VM that runs the program make its next access, if it runs and does not wait. Whether it made one.
    pub fn play(&mut self, fake: &FakeAcrn) -> bool {
        let vm = fake.vms().into_iter().find(|vm| runs_program(fake, *vm));
        if vm.is_none() || self.vm != vm {
            *self = Self { vm, made: 0 };
        }
        let Some(vm) = vm else { return false };
        let read = match fake.guest_outcome(vm, VcpuId::BSP) {
            Some(AccessOutcome::Done(value)) => value.unwrap_or(0).to_le_bytes()[0],
            _ => return false,
        };
        let Some(access) = next_access(self.made, read) else {
            return false;
        };
        let access = match access {
            Access::PortWrite { port, value } => fake::Access::PortWrite {
                port,
                size: 1,
                value: u32::from(value),
            },
            Access::PortRead { port } => fake::Access::PortRead { port, size: 1 },
            Access::MemoryWrite { address, value } => fake::Access::MemoryWrite {
                address,
                size: 1,
                value: u64::from(value),
            },
        };
        self.made = self.made.saturating_add(1);
        fake.guest_access(vm, VcpuId::BSP, access).is_ok()
    }
}

fn runs_program(fake: &FakeAcrn, vm: VmId) -> bool {
    fake.vm(vm).is_some_and(|view| {
        view.vcpus.first().is_some_and(|vcpu| {
            vcpu.state == VcpuState::Running
                && vcpu
                    .registers
                    .is_some_and(|set| set.rip == u64::from(PROGRAM_ENTRY))
        })
    })
}

/// Surroundings over a fake ACRN.
pub struct FakeSurroundings {
    fake: FakeAcrn,
    player: RefCell<Player>,
    mounted: Cell<bool>,
}

impl FakeSurroundings {
    /// Surroundings over this machine, whose memory at [`LENT_AT`] becomes [`PAGES`].
    #[must_use]
    pub fn new(fake: &FakeAcrn) -> Self {
        Self {
            fake: fake.clone(),
            player: RefCell::new(Player::new()),
            mounted: Cell::new(false),
        }
    }

    /// A world switch, of which the dispatcher only says whether this caller may make it.
    fn switch(&self, number: u64) -> SwitchRefused {
        let server = AcrnServer::new(self.fake.clone());
        let answer = server.vmcall(
            Registers {
                number,
                args: [0; 2],
            },
            0,
            &self.fake,
        );
        SwitchRefused {
            rax: answer.unwrap_or(0),
        }
    }
}

/// The fake has no processor for another world, so no message comes from one.
fn no_world(call: &'static CallInfo, args: [u64; 2]) -> Error {
    let why = TransportError::Lost("the fake has no processor for another world");
    Error::transport(call, args, why)
}

/// The Service VM has no other world.
impl WorldSwitch for FakeSurroundings {
    fn start_secure_world(&self, param: &TrustyBootParam) -> Result<WorldMessage, Error> {
        self.fake.initialize_trusty(param)?;
        Err(no_world(Calls::INITIALIZE_TRUSTY, [0; 2]))
    }
    fn tee_boot_done(&self, start: TeeBoot) -> Result<TeeRequest, Error> {
        self.fake.tee_vcpu_boot_done(start)?;
        Err(no_world(
            Calls::TEE_VCPU_BOOT_DONE,
            [start.to_register(), 0],
        ))
    }
    fn switch_world(&self, _: WorldMessage) -> Result<WorldMessage, SwitchRefused> {
        Err(self.switch(WORLD_SWITCH))
    }
    fn switch_to_tee(&self, _: TeeRequest) -> Result<TeeReply, SwitchRefused> {
        Err(self.switch(SWITCH_EE))
    }
    fn switch_to_ree(&self, _: TeeReply) -> Result<TeeRequest, SwitchRefused> {
        Err(self.switch(SWITCH_EE))
    }
}

impl Surroundings for FakeSurroundings {
    fn lent(&self) -> Lent {
        if !self.mounted.replace(true) {
            for (at, page) in (LENT_AT.0..).step_by(4096).zip(&PAGES) {
                self.fake.mount_at(Gpa(at), page);
            }
        }
        Lent {
            pages: &PAGES,
            gpa: LENT_AT,
        }
    }

    fn wait(&self, done: &dyn Fn() -> bool) -> bool {
        for _ in 0..8 {
            if done() {
                return true;
            }
            self.player.borrow_mut().play(&self.fake);
        }
        done()
    }

    fn upcalls(&self, vector: u8) -> Option<u64> {
        Some(self.fake.upcalls(vector))
    }

    fn worlds(&self) -> Option<&dyn WorldSwitch> {
        Some(self)
    }
}
