//! What ACRN decides before a handler runs: whether the caller may make hypercalls, which handler a number selects,
//! which VM it is about, and what an unreadable parameter answers.
//!
//! A hypervisor that implements [`Host`] is driven by [`AcrnServer`], which is as strict and as lax as ACRN
//! (`vmcall_vmexit_handler`, `dispatch_hypercall` and `parse_target_vm` in `arch/x86/guest/vmcall.c`):
//!
//! | question | answer |
//! |---|---|
//! | a VM that may make no hypercalls | `#UD` |
//! | ring 1 to 3 | `#GP(0)` |
//! | which handler | the low byte of the number; none: -25 |
//! | a call for the Service VM, made by another VM, or the reverse | -25 |
//! | which VM | by the whole number: the struct's for 0x80000010 and 0x80000042, bits 31:24 of RDI for 0x80000080, the caller for the calls about the machine; for every other number, the inexact ones included, the low 16 bits of RDI |
//! | no such VM, or a pre-launched one | -25 |
//! | a parameter that cannot be copied | -25 for 10 and 42, whose target is in it; -22 for 00, 24, 55 to 5a, 62, 63, 80; -14 for 70; else -1 |

use crate::call::CallInfo;
use crate::server::{GuestMemory, Registers, Rules, Serve, Step, finish};
use crate::{Error, Payload as _, TransportError, Value as _};

use super::codes::{EFAULT, EINVAL, ENOTTY, EPERM};
use super::create::{VmCreation, VmFlags};
use super::debug::ProfilingCommand;
use super::hypervisor::{Hypervisor, HypervisorCalls as Calls};
use super::ids::VmId;
use super::memory::SetRegions;
use super::world::{SWITCH_EE, WORLD_SWITCH};

/// Vector of the invalid opcode exception (Intel SDM volume 3, 7.15).
const UD: u8 = 6;
/// Vector of the general protection exception (Intel SDM volume 3, 7.15).
const GP: u8 = 13;

/// What [`AcrnServer`] asks of a hypervisor besides its handlers.
pub trait Host: Hypervisor {
    /// Whether the caller is the Service VM, and the guest flags of its configuration.
    fn caller(&self) -> Caller;

    /// Whether there is a slot of this number, powered off or not, that is not a pre-launched VM's.
    fn has_vm(&self, vm: VmId) -> bool;

    /// [`create_vm`](Hypervisor::create_vm) in a slot that the caller chose by an inexact number, instead of one that
    /// the name chose. `None`: the description could not be read, which also empties the name of a slot that is not
    /// configured.
    ///
    /// # Errors
    /// Those of [`create_vm`](Hypervisor::create_vm); -1 for a description that could not be read.
    fn create_vm_in(&self, slot: VmId, creation: Option<&mut VmCreation>) -> Result<VmId, Error>;

    /// Bytes that a profiling command reads and writes; 0 for one that is not answered. `None`, which is the default, is that
    /// nobody knows: [`profiling_ops`](Hypervisor::profiling_ops) is not called then, as
    /// [`Rules::extent`] says.
    fn profiling_extent(&self, _command: ProfilingCommand) -> Option<usize> {
        None
    }
}

macro_rules! forward {
    ($pointer:ty) => {
        impl<H: Host + ?Sized> Host for $pointer {
            fn caller(&self) -> Caller {
                (**self).caller()
            }
            fn has_vm(&self, vm: VmId) -> bool {
                (**self).has_vm(vm)
            }
            fn create_vm_in(
                &self,
                slot: VmId,
                creation: Option<&mut VmCreation>,
            ) -> Result<VmId, Error> {
                (**self).create_vm_in(slot, creation)
            }
            fn profiling_extent(&self, command: ProfilingCommand) -> Option<usize> {
                (**self).profiling_extent(command)
            }
        }
    };
}
forward!(&H);
crate::__if_alloc! {
    forward!(alloc::boxed::Box<H>);
    forward!(alloc::sync::Arc<H>);
}

/// The VM that makes a call, as far as its rights go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whether it is the Service VM.
    pub service_vm: bool,
    /// The guest flags of its configuration.
    pub flags: VmFlags,
}

impl Caller {
    /// The Service VM, without a secure world.
    pub const SERVICE_VM: Self = Self {
        service_vm: true,
        flags: VmFlags::empty(),
    };
}

/// Answers raw calls as ACRN's dispatcher does, by a [`Host`].
#[derive(Clone, Copy, Debug)]
pub struct AcrnServer<H> {
    host: H,
}

impl<H: Host> AcrnServer<H> {
    /// A dispatcher in front of a hypervisor.
    pub const fn new(host: H) -> Self {
        Self { host }
    }

    /// The hypervisor.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// Answers a VMCALL that was executed at this privilege level (0 to 3; CS & 3).
    ///
    /// # Errors
    /// [`TransportError::Fault`] where the caller gets an exception instead of an answer; whatever the hypervisor's
    /// handler says where there is no answer.
    pub fn vmcall(
        &self,
        registers: Registers,
        privilege: u8,
        memory: &dyn GuestMemory,
    ) -> Result<i64, TransportError> {
        let caller = self.host.caller();
        let own_world = VmFlags::SECURE_WORLD | VmFlags::TEE | VmFlags::REE;
        if !caller.service_vm && !caller.flags.intersects(own_world) {
            return Err(TransportError::Fault(UD));
        }
        if privilege & 3 != 0 {
            return Err(TransportError::Fault(GP));
        }
        match needs(registers.number) {
            Needs::ServiceVm if caller.service_vm && !caller.flags.contains(VmFlags::REE) => {
                self.service_vm_call(registers, memory)
            }
            Needs::OneOf(flags) if caller.flags.intersects(flags) => {
                self.own_call(registers, memory)
            }
            _ => Ok(ENOTTY),
        }
    }

    /// A call by which the Service VM manages the machine and its VMs.
    fn service_vm_call(
        &self,
        registers: Registers,
        memory: &dyn GuestMemory,
    ) -> Result<i64, TransportError> {
        let Some(handler) = handler(registers) else {
            return Ok(ENOTTY);
        };
        let Some(target) = target(registers, memory) else {
            return Ok(ENOTTY);
        };
        if let Target::Vm(vm) = target
            && !self.host.has_vm(vm)
        {
            return Ok(ENOTTY);
        }
        let Handler::Call(call) = handler else {
            return Ok(EPERM);
        };
        let mut args = registers.args;
        let exact = registers.number == call.number;
        let rules = AcrnRules {
            exact,
            target,
            extent: self
                .host
                .profiling_extent(ProfilingCommand::from_register(args[0])),
        };
        if *call == *Calls::CREATE_VM
            && !exact
            && let Target::Vm(slot) = target
        {
            return self.create_vm_in(slot, args, memory, &rules);
        }
        if *call == *Calls::SET_VCPU_REGS && args[1] == 0 {
            return Ok(EPERM);
        }
        if call.number == Calls::PM_GET_PX_COUNT.number
            && let Target::Vm(vm) = target
        {
            args[0] = (args[0] & !0xff00_0000) | (u64::from(vm.0 & 0xff) << 24);
        }
        Calls::invoke(&self.host, call, args, memory, &rules)
    }

    /// A CREATE_VM with an inexact number: the slot is RDI's low 16 bits, and the description is at RDI all the same.
    fn create_vm_in(
        &self,
        slot: VmId,
        args: [u64; 2],
        memory: &dyn GuestMemory,
        rules: &AcrnRules,
    ) -> Result<i64, TransportError> {
        let step = Step {
            call: Calls::CREATE_VM,
            args,
            memory,
            rules,
        };
        finish((|| {
            let Ok(mut creation) = step.block::<VmCreation>(0) else {
                step.answer(self.host.create_vm_in(slot, None))?;
                return Ok(EPERM);
            };
            let result = self.host.create_vm_in(slot, Some(&mut creation));
            step.yielded(0, &mut creation, result)?;
            Ok(0)
        })())
    }

    /// A call by which a VM manages the other world beside it.
    fn own_call(
        &self,
        registers: Registers,
        memory: &dyn GuestMemory,
    ) -> Result<i64, TransportError> {
        match handler(registers) {
            Some(Handler::Call(call)) => {
                let rules = AcrnRules {
                    exact: true,
                    target: Target::Machine,
                    extent: None,
                };
                Calls::invoke(&self.host, call, registers.args, memory, &rules)
            }
            _ => Err(TransportError::Unsupported(
                "a world switch carries more registers than two: this server does not make them",
            )),
        }
    }
}

impl<H: Host> Serve for AcrnServer<H> {
    /// Ring 0.
    fn serve(&self, registers: Registers, memory: &dyn GuestMemory) -> Result<i64, TransportError> {
        self.vmcall(registers, 0, memory)
    }
}

/// What a call's number asks of its caller.
enum Needs {
    ServiceVm,
    OneOf(VmFlags),
}

/// `hc_dispatch_table`'s permission flags, by the low byte of the number.
fn needs(number: u64) -> Needs {
    match number & 0xff {
        0x70..=0x72 => Needs::OneOf(VmFlags::SECURE_WORLD),
        0x90 => Needs::OneOf(VmFlags::TEE),
        0x91 => Needs::OneOf(VmFlags::TEE.union(VmFlags::REE)),
        _ => Needs::ServiceVm,
    }
}

/// What a number selects.
enum Handler {
    Call(&'static CallInfo),
    /// A handler that knows its number but not what the register selects further.
    UnknownSelector,
    /// A world switch.
    Switch,
}

/// The handler of a number, by its low byte.
fn handler(registers: Registers) -> Option<Handler> {
    let index = registers.number & 0xff;
    if index == WORLD_SWITCH & 0xff || index == SWITCH_EE & 0xff {
        return Some(Handler::Switch);
    }
    let mut found = None;
    for call in Calls::INTERFACE.calls {
        if call.number & 0xff == index {
            if call.selected_by(registers.args) {
                return Some(Handler::Call(call));
            }
            found = Some(Handler::UnknownSelector);
        }
    }
    found
}

/// What a call is about.
#[derive(Clone, Copy)]
enum Target {
    /// The machine, or a VM that the handler finds by itself.
    Machine,
    Vm(VmId),
}

/// The target, by the whole number; `None` where its parameter cannot be read.
fn target(registers: Registers, memory: &dyn GuestMemory) -> Option<Target> {
    let Registers { number, args } = registers;
    let is = |call: &'static CallInfo| number == call.number;
    if is(Calls::CREATE_VM) {
        // The name picks the slot, in the handler: what matters here is that it can be read.
        let mut creation = VmCreation::zeroed();
        memory.read(args[0], creation.as_block_mut()).ok()?;
        Some(Target::Machine)
    } else if is(Calls::SET_MEMORY_REGIONS) {
        let mut regions = SetRegions::zeroed();
        memory.read(args[0], regions.as_block_mut()).ok()?;
        Some(Target::Vm(regions.vmid))
    } else if is(Calls::PM_GET_PX_COUNT) {
        Some(Target::Vm(VmId::from_register((args[0] >> 24) & 0xff)))
    } else if is(Calls::GET_API_VERSION)
        || is(Calls::SERVICE_VM_OFFLINE_CPU)
        || is(Calls::SET_CALLBACK_VECTOR)
        || is(Calls::SETUP_HV_NPK_LOG)
        || is(Calls::PROFILING_OPS)
        || is(Calls::GET_HW_INFO)
    {
        Some(Target::Machine)
    } else {
        Some(Target::Vm(VmId::from_register(args[0])))
    }
}

/// ACRN's part of the dispatcher's rules, for one call.
struct AcrnRules {
    /// Whether the number is the call's own.
    exact: bool,
    target: Target,
    extent: Option<usize>,
}

impl Rules for AcrnRules {
    fn unreadable(&self, call: &'static CallInfo) -> i64 {
        let in_parameter = *call == *Calls::CREATE_VM || *call == *Calls::SET_MEMORY_REGIONS;
        match call.number & 0xff {
            0x00 | 0x24 | 0x55..=0x5a | 0x62 | 0x63 | 0x80 => EINVAL,
            0x70 => EFAULT,
            _ if in_parameter && self.exact => ENOTTY,
            _ => EPERM,
        }
    }

    /// The handler's result before it did anything.
    fn unreadable_element(&self, _: &'static CallInfo) -> i64 {
        EPERM
    }

    /// `copy_to_gpa` fails with -22, and every handler passes that on.
    fn unwritable(&self, _: &'static CallInfo) -> i64 {
        EINVAL
    }

    /// The target was found before the handler reads the struct again; what the struct says then does not matter.
    fn correct(&self, call: &'static CallInfo, block: &mut [u8]) {
        if *call == *Calls::SET_MEMORY_REGIONS
            && let Target::Vm(VmId(vm)) = self.target
            && let Some(field) = block.get_mut(..2)
        {
            field.copy_from_slice(&vm.to_le_bytes());
        }
    }

    fn extent(&self, _: &'static CallInfo, _: [u64; 2]) -> Option<usize> {
        self.extent
    }
}
