//! What each of ACRN's calls does to the machine, where it succeeded.

use hypercall_core::Yields as _;
use hypercall_core::acrn::{VmCreation, VmId};

use super::devices;
use super::field::{after, before, elements, text, value};
use super::memory::Change;
use super::{AsyncIo, At, MAX_LISTED, MAX_VMS, Machine, Memory, Vm, VmState};
use crate::entry::{Argument, Block, Call, Link, Outcome, Place, Target};

/// No VM.
const INVALID: u64 = 0xffff;
/// A processor of the VM did not come back; the VM changed its state all the same.
const TIMED_OUT: i64 = -110;
/// A region was refused: those before it are applied.
const EINVAL: i64 = -22;

/// The VM that a call is about.
pub(crate) fn target(call: &Call) -> Option<u16> {
    let raw = match call.name() {
        "create_vm" => return None,
        "set_memory_regions" => before(call, Place::Rdi, "vmid")?,
        name if name.starts_with("pm_get_") => (value(call, 0)? >> 24) & 0xff,
        _ => match call.schema.as_deref()?.registers.first()? {
            // Another interface has names of its own.
            crate::schema::Register::Value {
                kind: crate::schema::Kind::Id(name),
                role: hypercall_core::schema::Role::Handle,
                ..
            } if name == "VmId" => value(call, 0)? & 0xffff,
            _ => return None,
        },
    };
    u16::try_from(raw).ok()
}

/// The id that a `create_vm` answered with 0 in RAX, where it is one that no new VM can have: 0, which is the Service VM, or one
/// from 16 on. That is an error by the interface's rules
/// ([`VmCreation`](hypercall_core::acrn::VmCreation)), and no VM.
#[must_use]
pub fn impossible_id(call: &Call) -> Option<u16> {
    if call.interface() != "Hypervisor" || call.name() != "create_vm" || call.rax() != Some(0) {
        return None;
    }
    let id = u16::try_from(after(call, Place::Rdi, "vmid")?).ok()?;
    let answer = VmCreation {
        vmid: VmId(id),
        ..VmCreation::default()
    };
    (u64::from(id) != INVALID && answer.yielded().is_err()).then_some(id)
}

/// The memory that a call hands over.
pub(crate) fn handed(call: &Call, lane: &str) -> Option<Memory> {
    let link = call.args.iter().find_map(|argument| match argument {
        Argument::Block(Block {
            link: Some(Link { target, .. }),
            ..
        }) => Some(target),
        _ => None,
    });
    match link? {
        Target::Pages {
            page: Some(number), ..
        } => Some(Memory::Page {
            lane: lane.to_owned(),
            number: *number,
        }),
        Target::Pages { count, page: None } => Some(Memory::Pages { count: *count }),
        Target::Address(gpa) => Some(Memory::Address { gpa: *gpa }),
        Target::Block(_) => None,
    }
}

impl Machine {
    /// A VM that a call is about; one that was created before the recording began is new here.
    pub(super) fn vm(&mut self, id: u16) -> &mut Vm {
        self.vms.entry(id).or_default()
    }

    pub(super) fn apply(&mut self, at: &At, call: &Call) {
        let Outcome::Returned(rax) = call.outcome else {
            return;
        };
        if call.name() == "create_vm" {
            return self.create(at, call, rax);
        }
        let Some(id) = target(call) else {
            if rax == 0 {
                self.apply_machine(call);
            }
            return;
        };
        if id >= MAX_VMS {
            // A trace may name 65,536 of them.
            self.more = true;
            return;
        }
        self.apply_to(id, at, call, rax);
        if let Some(vm) = self.vms.get_mut(&id) {
            vm.bound();
        }
    }

    fn apply_to(&mut self, id: u16, at: &At, call: &Call, rax: i64) {
        match (call.name(), rax) {
            ("destroy_vm", 0 | TIMED_OUT) => {
                self.vms.remove(&id);
                self.destroyed.insert(id, at.clone());
            }
            ("reset_vm", 0 | TIMED_OUT) => self.vm(id).state = VmState::Created,
            ("start_vm", 0) => self.vm(id).state = VmState::Running,
            // The Service VM that pauses itself does not come back.
            ("pause_vm", 0) if id != 0 => self.vm(id).state = VmState::Paused,
            ("set_ioreq_buffer", 0) => {
                let memory = handed(call, &at.lane);
                self.vm(id).request_page = memory;
            }
            // A page that is not mapped takes the old one back.
            ("set_ioreq_buffer", -1) if self.vm(id).state == VmState::Created => {
                self.vm(id).request_page = None;
            }
            ("set_memory_regions", 0) => {
                let Vm { regions, more, .. } = self.vm(id);
                elements(call, 0, |field| {
                    *more |= !regions.change(&Change::of(field))
                });
            }
            ("set_memory_regions", EINVAL) => {
                let mut changes = Vec::new();
                elements(call, 0, |field| changes.push(Change::of(field)));
                let vm = self.vm(id);
                let (all, uncertain) = vm.regions.change_until_refused(&changes);
                vm.more |= !all;
                vm.regions_uncertain |= uncertain;
            }
            ("setup_sbuf", 0) => self.buffer(id, call, &at.lane),
            ("asyncio_assign" | "asyncio_deassign", 0) => {
                let read = |field| before(call, Place::Rsi, field).unwrap_or(0);
                let one = AsyncIo {
                    kind: read("kind"),
                    addr: read("addr"),
                    fd: read("fd"),
                };
                let list = &mut self.vm(id).asyncio;
                if call.name() == "asyncio_deassign" {
                    list.retain(|other| *other != one);
                } else if one.addr != 0 && !list.contains(&one) {
                    list.push(one);
                }
            }
            ("write_protect_page", 0) => {
                let gpa = before(call, Place::Rsi, "gpa").unwrap_or(0);
                let protected = &mut self.vm(id).protected;
                protected.retain(|page| *page != gpa);
                if before(call, Place::Rsi, "set").is_some_and(|set| set != 0) {
                    protected.push(gpa);
                }
            }
            (_, 0) => devices::apply(self.vm(id), call),
            // What was refused does not make a VM known.
            _ => {}
        }
    }

    fn create(&mut self, at: &At, call: &Call, rax: i64) {
        if let Some(id) = impossible_id(call) {
            self.impossible.insert(id, at.clone());
            return;
        }
        let id = after(call, Place::Rdi, "vmid").filter(|id| rax == 0 && *id != INVALID);
        let Some(id) = id.and_then(|id| u16::try_from(id).ok()) else {
            return;
        };
        self.destroyed.remove(&id);
        let vm = Vm {
            name: text(call, Place::Rdi, "name"),
            state: VmState::Created,
            created: Some(at.clone()),
            vcpus: after(call, Place::Rdi, "vcpu_num"),
            flags: before(call, Place::Rdi, "flags").unwrap_or(0),
            ..Vm::default()
        };
        self.vms.insert(id, vm);
    }

    /// Calls that are about no VM.
    fn apply_machine(&mut self, call: &Call) {
        match call.name() {
            "set_callback_vector" => self.upcall_vector = value(call, 0),
            "service_vm_offline_cpu" => {
                let new = |lapic: &u64| !self.offline.contains(lapic);
                if let Some(lapic) = value(call, 0).filter(new) {
                    if self.offline.len() < MAX_LISTED {
                        self.offline.push(lapic);
                    } else {
                        self.more = true;
                    }
                }
            }
            _ => {}
        }
    }

    fn buffer(&mut self, vm: u16, call: &Call, lane: &str) {
        let read = |field| before(call, Place::Rsi, field).unwrap_or(0);
        let (Ok(id), Some(memory)) = (u32::try_from(read("sbuf_id")), handed(call, lane)) else {
            return;
        };
        if id >= 4 {
            self.vm(vm).buffers.insert(id, memory);
        } else if let Ok(pcpu) = u16::try_from(read("cpu_id")) {
            self.buffers.insert((pcpu, id), memory);
            if self.buffers.len() > MAX_LISTED {
                self.buffers.pop_last();
                self.more = true;
            }
        }
    }
}
