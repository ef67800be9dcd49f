//! The rules, each against a call and the machine as it was before.

use super::calls::accepted;
use super::finding::{Finding, Rule};
use super::holders::{Holders, Role};
use super::losses::Losses;
use super::pages::{COMPLETE, FREE, PENDING, PROCESSING, Shadows};
use crate::entry::{Call, Outcome, Place};
use crate::state::field::{after, before, elements, text, value};
use crate::state::memory::Change;
use crate::state::{At, Machine, Memory, Vm, VmState, handed, impossible_id, target};

/// The flag of a VM whose requests are polled for.
const POLLING: u64 = 1 << 2;
/// The id of the ring of asynchronous I/Os.
const ASYNCIO: u32 = 64;

struct Work<'w> {
    at: &'w At,
    call: &'w Call,
    machine: &'w Machine,
    losses: &'w Losses,
    holders: &'w Holders,
    out: &'w mut Vec<Finding>,
}

impl Work<'_> {
    fn found(&mut self, rule: Rule, vm: Option<u16>, message: String) {
        self.out.push(rule.found(self.at, vm, message));
    }
}

/// Checks a call.
pub(super) fn call(
    at: &At,
    call: &Call,
    machine: &Machine,
    shadows: &Shadows,
    (losses, holders): (&Losses, &Holders),
    out: &mut Vec<Finding>,
) {
    let mut work = Work {
        at,
        call,
        machine,
        losses,
        holders,
        out,
    };
    if call.interface() != "Hypervisor" {
        return;
    }
    if call.name() == "create_vm" {
        work.create();
    }
    let Some(id) = target(call) else { return };
    match machine.vms.get(&id) {
        _ if id == 0 => work.service_vm(),
        None => {
            if let Some(destroyed) = machine.destroyed.get(&id)
                && accepted(call.name()).is_some()
            {
                let why = format!(
                    "{} for VM {id}, which was destroyed at {destroyed}",
                    call.name()
                );
                work.found(Rule::UsedAfterDestroy, Some(id), why);
            }
        }
        Some(vm) => {
            work.state(id, vm);
            work.about(id, vm, shadows);
        }
    }
    work.page(id);
}

impl Work<'_> {
    fn create(&mut self) {
        if let Some(id) = impossible_id(self.call) {
            let why = format!("create_vm answered VM id {id}, which no new VM can have");
            self.found(Rule::ImpossibleId, Some(id), why);
        }
        let refused = matches!(self.call.outcome, Outcome::Returned(rax) if rax != 0)
            || after(self.call, Place::Rdi, "vmid") == Some(0xffff);
        let Some(name) = text(self.call, Place::Rdi, "name").filter(|name| !name.is_empty()) else {
            return;
        };
        let lives = self
            .machine
            .vms
            .iter()
            .find(|(_, vm)| vm.name.as_ref() == Some(&name) && self.losses.saw_all_of(vm));
        if let (true, Some((id, _))) = (refused, lives) {
            let id = *id;
            let why = format!("create_vm(\"{name}\") was refused while VM {id} of that name lives");
            self.found(Rule::NameLost, Some(id), why);
        }
    }

    /// Calls about the VM that calls.
    fn service_vm(&mut self) {
        match self.call.name() {
            "pause_vm" => {
                self.found(
                    Rule::StopsCaller,
                    Some(0),
                    "pause_vm of VM 0 pauses its caller".to_owned(),
                );
            }
            "set_memory_regions" | "write_protect_page" => {
                let why = format!("{} changes the Service VM's own memory", self.call.name());
                self.found(Rule::OwnMemory, Some(0), why);
            }
            _ => {}
        }
    }

    fn state(&mut self, id: u16, vm: &Vm) {
        let name = self.call.name();
        let Some(states) = accepted(name) else { return };
        if vm.state == VmState::Unknown || states.contains(&vm.state) {
            return;
        }
        if name == "start_vm" && vm.state == VmState::Running {
            let why = format!("start_vm for VM {id}, which runs");
            return self.found(Rule::StartedTwice, Some(id), why);
        }
        let wanted: Vec<String> = states.iter().map(ToString::to_string).collect();
        let why = format!(
            "{name} for VM {id}, which is {}, not {}",
            vm.state,
            wanted.join(" or ")
        );
        self.found(Rule::WrongState, Some(id), why);
    }

    fn about(&mut self, id: u16, vm: &Vm, shadows: &Shadows) {
        // What the trace does not show may be there.
        let certain = self.losses.saw_all_of(vm);
        match self.call.name() {
            "start_vm" => {
                if certain && vm.request_page.is_none() {
                    let why =
                        format!("start_vm for VM {id}, which has no page for its I/O requests");
                    self.found(Rule::StartWithoutRequestPage, Some(id), why);
                }
                if certain && vm.vcpus == Some(0) {
                    self.found(
                        Rule::NoVcpu,
                        Some(id),
                        format!("start_vm for VM {id}, which has no vCPU"),
                    );
                }
            }
            "destroy_vm" if certain && self.call.rax() == Some(0) => {
                for device in &vm.devices {
                    let why = format!("VM {id} is destroyed and still has {device}");
                    self.found(Rule::DeviceNotGivenBack, Some(id), why);
                }
            }
            // Behind missing calls nobody knows what the page holds.
            "notify_request_finish"
                if vm.flags & POLLING == 0
                    && self.machine.missing == 0
                    && !self.machine.missing_unknown =>
            {
                self.notify(id, vm, shadows);
            }
            "asyncio_assign" => {
                let addr = before(self.call, Place::Rsi, "addr").unwrap_or(0);
                if certain && addr != 0 && !vm.buffers.contains_key(&ASYNCIO) {
                    let why = format!("asyncio_assign for VM {id}, which has no ASYNCIO buffer");
                    self.found(Rule::CrashesHypervisor, Some(id), why);
                }
            }
            "vm_intr_monitor" => {
                let count = before(self.call, Place::Rsi, "buf_cnt").unwrap_or(48);
                let reads = before(self.call, Place::Rsi, "command") == Some(0);
                if reads && count <= 1 {
                    let why = format!("vm_intr_monitor asks for {count} counters");
                    self.found(Rule::WritesBeyondBuffer, Some(id), why);
                }
            }
            "set_memory_regions" if !vm.regions_uncertain => {
                self.regions(id, vm, certain && !vm.more);
            }
            _ => {}
        }
    }

    fn notify(&mut self, id: u16, vm: &Vm, shadows: &Shadows) {
        let (Some(vcpu), Some(page)) = (value(self.call, 1), &vm.request_page) else {
            return;
        };
        let vcpu = vcpu & 0xffff;
        if shadows.polls(&self.at.lane, page, vcpu) != Some(false) {
            // The call does nothing, or may do nothing. That a VM before this one made the hypervisor poll for its slot stands only here.
            return;
        }
        let Some(state) = shadows.slot_state(&self.at.lane, page, vcpu) else {
            return;
        };
        if state != COMPLETE {
            let state = match state {
                PENDING => "PENDING",
                PROCESSING => "PROCESSING",
                FREE => "FREE: there is no request",
                // No state of ACRN's, as where the page was hidden by redaction.
                _ => return,
            };
            let why =
                format!("notify_request_finish for vCPU {vcpu} of VM {id}, whose slot is {state}");
            self.found(Rule::NotifyWithoutRequest, Some(id), why);
        } else if shadows.unseen(&self.at.lane, page, vcpu) {
            self.found(Rule::LookNotNoted, Some(id), no_look_found(vcpu, id));
        }
    }

    fn regions(&mut self, id: u16, vm: &Vm, certain: bool) {
        let mut found = Vec::new();
        // Each element finds what those before it left.
        let mut ahead = vm.regions.ahead();
        elements(self.call, 0, |field| {
            let change = Change::of(field);
            let (gpa, end) = (change.gpa, change.end());
            let range = || format!("{gpa:#x}..{end:#x} of VM {id}");
            match change.kind {
                0 if certain && ahead.meets(gpa, end) => {
                    found.push((
                        Rule::MappedTwice,
                        format!("{} is mapped where there is memory already", range()),
                    ));
                }
                0 => {}
                2 if certain => {
                    if let Some(gap) = change.gap(|gpa, end| ahead.first_gap(gpa, end)) {
                        let why = format!(
                            "{} is unmapped, of which the VM does not have {gap:#x}",
                            range()
                        );
                        found.push((Rule::UnmapsNothing, why));
                    }
                }
                2 => {}
                kind => found.push((
                    Rule::UnmapsInstead,
                    format!(
                        "{} is to be changed with kind {kind}, and is unmapped",
                        range()
                    ),
                )),
            }
            if change.kind != 0 || change.maps() {
                ahead.change(gpa, end, change.maps());
            }
        });
        for (rule, why) in found {
            self.found(rule, Some(id), why);
        }
    }

    /// A page that the hypervisor has already.
    fn page(&mut self, id: u16) {
        let handed = handed(self.call, &self.at.lane);
        let Some(memory) = handed
            .filter(|memory| !matches!(memory, Memory::Pages { .. } | Memory::Address { gpa: 0 }))
        else {
            return;
        };
        if self.call.rax() != Some(0) {
            return;
        }
        let Some(own) = role(self.call) else { return };
        // Another one may have given the page back, in a call that is missing.
        let vms = &self.machine.vms;
        let certain = |id: u16| {
            let vm = vms.get(&id);
            vm.is_some_and(|vm| vm.created.is_none() || self.losses.saw_all_of(vm))
        };
        let holder = match self.holders.other(&memory, (id, own), certain) {
            Some((vm, Role::Requests)) => Some(format!("VM {vm} has for its I/O requests")),
            Some((vm, Role::Buffer(buffer))) => Some(format!("VM {vm} has as its buffer {buffer}")),
            None => None,
        };
        if let Some(holder) = holder {
            let why = format!(
                "{} for VM {id} with {memory}, which {holder}",
                self.call.name()
            );
            self.found(Rule::PageGivenTwice, Some(id), why);
        }
    }
}

fn no_look_found(vcpu: impl std::fmt::Display, id: u16) -> String {
    format!(
        "the request of vCPU {vcpu} of VM {id} was answered, and no look at the page had found it: what the program acted on is \
         not in the trace"
    )
}

/// Requests that were answered although no look had found them, and for whose completion the hypervisor polls: slots of a page.
pub(super) fn answered(
    at: &At,
    page: &Memory,
    slots: &[usize],
    machine: &Machine,
    out: &mut Vec<Finding>,
) {
    if machine.missing != 0 || machine.missing_unknown {
        return;
    }
    let vm = machine
        .vms
        .iter()
        .find(|(_, vm)| vm.request_page.as_ref() == Some(page));
    let Some((id, _)) = vm else { return };
    for slot in slots {
        out.push(Rule::LookNotNoted.found(at, Some(*id), no_look_found(slot, *id)));
    }
}

/// What the page is for that a call hands over.
pub(super) fn role(call: &Call) -> Option<Role> {
    match call.name() {
        "set_ioreq_buffer" => Some(Role::Requests),
        "setup_sbuf" => {
            let id = before(call, Place::Rsi, "sbuf_id").unwrap_or(0);
            u32::try_from(id).ok().map(Role::Buffer)
        }
        _ => None,
    }
}

/// Checks what is left at the end.
pub(super) fn end(machine: &Machine, losses: &Losses, out: &mut Vec<Finding>) {
    // What is missing may be the call that destroyed it.
    let certain = |vm: &Vm| losses.saw_all_of(vm);
    for (id, vm) in machine.vms.iter().filter(|(_, vm)| certain(vm)) {
        let Some(created) = &vm.created else { continue };
        let name = vm.name.as_deref().unwrap_or_default();
        let why = format!(
            "VM {id} (\"{name}\") was never destroyed: it is {}",
            vm.state
        );
        out.push(Rule::VmNotDestroyed.found(created, Some(*id), why));
        for device in &vm.devices {
            let why = format!("VM {id} still has {device} at the end of the trace");
            out.push(Rule::DeviceNotGivenBack.found(created, Some(*id), why));
        }
    }
}
