//! What the hypervisor is to its guest: CPUID leaves, and answers to hypercalls by the framework's dispatcher in front of
//! the fake ACRN. And how it misbehaves when the guest asks it to.

use bare::control::{self, Answer, Command, Role, Shown};
use bare::cpu::cpuid;
use hypercall_conformance::Player;
use hypercall_core::acrn::server::{AcrnServer, Caller, Host as _};
use hypercall_core::acrn::{
    Hypervisor as _, MemoryProt, MemoryRegion, TrustyBootParam, VmCreation, VmFlags, VmId, VmName,
    WORLD_SWITCH,
};
use hypercall_core::server::{GuestMemory, Registers};
use hypercall_core::{Gpa, Payload, TransportError};
use hypercall_mock::fake::{FakeAcrn, FakeConfig};

use crate::cpu::{self, Place};
use crate::guest_memory::{GuestRam, SIZE};
use crate::orders::{Orders, Sabotage};

/// Calls whose first or second parameter is the address of a block.
const CREATE_VM: u64 = 0x8000_0010;
const INITIALIZE_TRUSTY: u64 = 0x8000_0070;

/// What becomes of a hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// RAX.
    Rax(i64),
    /// An exception.
    Fault(u8),
    /// The other world runs now; its registers are in place.
    Switched,
    /// The machine would not have survived it.
    Dead(&'static str),
}

/// The other world of the guest: where it stopped.
#[derive(Clone, Debug)]
struct World {
    registers: cpu::Registers,
    place: Place,
}

/// The hypervisor's own state.
pub struct Host {
    fake: FakeAcrn,
    ram: GuestRam,
    shown: Shown,
    answer: Answer,
    other: Option<World>,
    player: Player,
    /// Upcalls that the guest was told of, by vector.
    told: [u64; 256],
    about: u32,
    orders: Orders,
    calls: u64,
}

impl Host {
    /// The recorded machine, whose Service VM is the guest. `about` is for the guest that asks.
    pub fn new(ram: GuestRam, about: u32, orders: Orders) -> Self {
        let mut host = Self {
            fake: FakeAcrn::new(),
            ram,
            shown: Shown::Acrn,
            answer: Answer::Honest,
            other: None,
            player: Player::new(),
            told: [0; 256],
            about,
            orders,
            calls: 0,
        };
        host.reset(Role::ServiceVm);
        host
    }

    /// Boots the machine anew. Its memory up to 64 MiB is the guest's own.
    fn reset(&mut self, caller: Role) {
        let config = FakeConfig {
            trusty_vms: u16::from(caller == Role::SecureVm),
            ..FakeConfig::default()
        };
        self.fake = FakeAcrn::with_config(config);
        for gpa in (0..SIZE).step_by(4096) {
            if let Some(page) = self.ram.page(gpa) {
                self.fake.mount_at(Gpa(gpa), page);
            }
        }
        if let Some(vm) = self.user_vm(caller) {
            self.fake = self.fake.called_by(vm);
        }
        self.other = None;
        self.player = Player::new();
        self.told = [0; 256];
        self.answer = Answer::Honest;
    }

    /// The VM that the guest is, if it is not the Service VM. It has the guest's memory.
    fn user_vm(&self, role: Role) -> Option<VmId> {
        let flags = match role {
            Role::ServiceVm => return None,
            Role::SecureVm => VmFlags::SECURE_WORLD,
            Role::PlainVm => VmFlags::empty(),
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

    /// EAX, EBX, ECX, EDX of a leaf, as the guest sees them.
    pub fn cpuid(&mut self, leaf: u32, subleaf: u32) -> [u32; 4] {
        let [mut eax, mut ebx, mut ecx, mut edx] = cpuid(leaf, subleaf);
        match leaf {
            1 => {
                // A hypervisor is there; VMX is not the guest's.
                ecx = ecx & !(1 << 5) | 1 << 31;
                if self.shown == Shown::None {
                    ecx &= !(1 << 31);
                }
            }
            0x4000_0000..=0x4000_ffff => [eax, ebx, ecx, edx] = self.hypervisor_leaf(leaf),
            // SVM is not the guest's either.
            0x8000_0001 => ecx &= !(1 << 2),
            0x8000_000a => [eax, ebx, ecx, edx] = [0; 4],
            control::LEAF if !self.orders.plain => {
                eax = self.control((subleaf >> 16) as u16, subleaf as u16);
                [ebx, ecx, edx] = control::SIGNATURE;
            }
            _ => {}
        }
        [eax, ebx, ecx, edx]
    }

    fn hypervisor_leaf(&self, leaf: u32) -> [u32; 4] {
        let signed = |name: &[u8; 12]| {
            let word = |at: usize| {
                u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]])
            };
            [0x4000_0010, word(0), word(4), word(8)]
        };
        match (self.shown, leaf) {
            (Shown::Acrn, _) => self.fake.cpuid(leaf),
            (Shown::Kvm, 0x4000_0000) => signed(b"KVMKVMKVM\0\0\0"),
            (Shown::Second, 0x4000_0000) => signed(b"Microsoft Hv"),
            (Shown::Second, 0x4000_0100) => self.fake.cpuid(0x4000_0000),
            (Shown::Second, _) => self.fake.cpuid(leaf),
            _ => [0; 4],
        }
    }

    fn control(&mut self, command: u16, argument: u16) -> u32 {
        if command == Command::Show as u16 {
            let all = [Shown::Acrn, Shown::Kvm, Shown::None, Shown::Second];
            self.shown = all
                .into_iter()
                .find(|shown| *shown as u16 == argument)
                .unwrap_or(Shown::Acrn);
        } else if command == Command::Answer as u16 {
            self.answer = Answer::ALL
                .into_iter()
                .find(|answer| *answer as u16 == argument)
                .unwrap_or(Answer::Honest);
        } else if command == Command::Reset as u16 {
            let all = [Role::ServiceVm, Role::SecureVm, Role::PlainVm];
            self.reset(
                all.into_iter()
                    .find(|role| *role as u16 == argument)
                    .unwrap_or(Role::ServiceVm),
            );
        } else if command == Command::Upcalls as u16 {
            return self.fake.upcalls(0xf3) as u32;
        }
        self.about
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
            Sabotage::Fault(at) if at == self.calls => return Answered::Fault(13),
            Sabotage::Crash(at) if at == self.calls => {
                return Answered::Dead("the runner asked for it");
            }
            _ => {}
        }
        if privilege == 0
            && let Some(answered) = self.misanswer(call)
        {
            return answered;
        }
        if call.number == WORLD_SWITCH && privilege == 0 && self.may_switch() {
            return self.switch(registers, place);
        }
        let server = AcrnServer::new(self.fake.clone());
        let answer = server.vmcall(call, privilege, &self.fake);
        if call.number == INITIALIZE_TRUSTY && answer == Ok(0) {
            return self.enter_secure_world(call.args[0], registers, place);
        }
        match (answer, self.answer) {
            (Ok(_), Answer::RefusedButWritten) => Answered::Rax(-22),
            (Ok(rax), Answer::Beyond) => {
                self.write_beyond(call);
                Answered::Rax(rax)
            }
            (Ok(rax), _) => Answered::Rax(rax),
            (Err(TransportError::Fault(vector)), _) => Answered::Fault(vector),
            (Err(TransportError::Dead(hazard)), _) => Answered::Dead(match hazard {
                hypercall_core::Hazard::Crashed(why) | hypercall_core::Hazard::Hung(why) => why,
            }),
            (Err(_), _) => Answered::Dead("the fake has no answer"),
        }
    }

    /// An answer that no hypervisor should give.
    fn misanswer(&mut self, call: Registers) -> Option<Answered> {
        Some(match self.answer {
            Answer::Nothing | Answer::Unwritten => Answered::Rax(0),
            Answer::Garbage => Answered::Rax(0x5a5a_5a5a_5a5a_5a5a),
            Answer::ShortCode => Answered::Rax(0xffff_ffff),
            Answer::WrongVm if call.number == CREATE_VM => {
                let _ = self.fake.write(call.args[0], &[0, 0, 0, 0, 1, 0]);
                Answered::Rax(0)
            }
            Answer::Ones => {
                let block = call
                    .args
                    .into_iter()
                    .find(|argument| *argument > 0xffff)
                    .unwrap_or(0);
                let _ = self.fake.write(block, &[0xff; 8]);
                Answered::Rax(0)
            }
            _ => return None,
        })
    }

    /// Overwrites what follows the block.
    fn write_beyond(&mut self, call: Registers) {
        let calls = hypercall_core::acrn::HypervisorCalls::INTERFACE;
        let Some(info) = calls.select(call.number, call.args) else {
            return;
        };
        for (register, address) in info.registers.iter().zip(call.args) {
            if let hypercall_core::call::RegisterInfo::Block { size, .. } = register {
                let _ = self
                    .fake
                    .write(address.wrapping_add(*size as u64), &[0xee; 64]);
            }
        }
    }

    /// Whether the guest may have a secure world.
    fn may_switch(&self) -> bool {
        let Caller { flags, .. } = self.fake.caller();
        flags.contains(VmFlags::SECURE_WORLD)
    }

    /// The secure world starts where the parameter says, at the end of its memory, which RDI points at the start of. The
    /// normal one stands behind its call.
    fn enter_secure_world(
        &mut self,
        at: u64,
        registers: &mut cpu::Registers,
        place: &mut Place,
    ) -> Answered {
        let mut param = TrustyBootParam::zeroed();
        if self.fake.read(at, param.as_block_mut()).is_err() {
            return Answered::Rax(-14);
        }
        place.rip = place.rip.wrapping_add(3);
        registers.rax = 0;
        let secure = cpu::Registers {
            rdi: param.base().0,
            ..cpu::Registers::new()
        };
        let normal = core::mem::replace(registers, secure);
        self.other = Some(World {
            registers: normal,
            place: *place,
        });
        place.rip = param.entry().0;
        // As after a call.
        place.rsp = param
            .base()
            .0
            .wrapping_add(u64::from(param.mem_size))
            .wrapping_sub(8);
        Answered::Switched
    }

    /// The worlds change places. Four registers go from one to the other.
    fn switch(&mut self, registers: &mut cpu::Registers, place: &mut Place) -> Answered {
        let Some(mut other) = self.other.take() else {
            return Answered::Rax(-1);
        };
        place.rip = place.rip.wrapping_add(3);
        let message = [registers.rdi, registers.rsi, registers.rdx, registers.rbx];
        core::mem::swap(registers, &mut other.registers);
        core::mem::swap(place, &mut other.place);
        [registers.rdi, registers.rsi, registers.rdx, registers.rbx] = message;
        registers.rax = 0;
        self.other = Some(other);
        Answered::Switched
    }

    /// The hypervisor's timer went off: a User VM that runs makes its next access.
    pub fn tick(&mut self) {
        self.player.play(&self.fake);
    }

    /// The vector of an upcall that the guest was not told of yet.
    pub fn upcall(&mut self) -> Option<u8> {
        let vector = u8::try_from(self.fake.upcall_vector()).ok()?;
        let raised = self.fake.upcalls(vector);
        let told = self.told.get_mut(usize::from(vector))?;
        (raised > *told).then(|| {
            *told += 1;
            vector
        })
    }
}
