//! Holds a trace to the rules of a VM's life: what the hypervisor refuses, what it accepts and should not have been
//! asked, what was never given back.
//!
//! ```no_run
//! use hypercall_trace::{check::check, read::Trace, replay::Recorded};
//!
//! let trace = Trace::open("boot.hct")?;
//! for finding in check(&Recorded::read(&trace)?) {
//!     println!("{finding}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rules are ACRN's. They are held against what the trace itself tells ([`state`](crate::state)): of a VM that was
//! created before the recording began, and behind calls that are missing, only what is certain is found. What each rule does not
//! see stands with it ([`Rule`]).

mod calls;
mod finding;
mod holders;
mod losses;
mod pages;
mod rules;

use serde::Serialize;

use crate::entry::{Call, Entry, Outcome, Place};
use crate::plural::calls_are;
use crate::replay::Recorded;
use crate::state::field::after;
use crate::state::{At, Machine, Memory, impossible_id, target};
pub use finding::{Finding, Rule, Severity};
use holders::Holders;
use losses::Losses;
use pages::{MAX_PAGES, Shadows};

/// Checks a trace entry by entry, in the order of time: as [`Trace::merged`](crate::read::Trace::merged) has them where that is
/// [in order](crate::read::Merged::in_order). It is for one recording: in a file that was joined from several, pages have their
/// numbers anew in each, and nobody knows whether the machine is the same one, so that each
/// [recording](crate::read::Merged::recording) has a checker of its own.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    machine: Machine,
    shadows: Shadows,
    losses: Losses,
    holders: Holders,
    findings: Vec<Finding>,
    /// What was said not to be followed: pages, and what a machine has.
    pages_left_out: bool,
    machine_left_out: bool,
}

/// A [`Checker`]'s result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// What was found, in the order of time.
    pub findings: Vec<Finding>,
    /// What there was at the end.
    pub machine: Machine,
}

impl Checker {
    /// A checker that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry.
    pub fn take(&mut self, position: u64, lane: &str, entry: &Entry) {
        let place = |index| At {
            position,
            lane: lane.to_owned(),
            index,
        };
        if matches!(entry, Entry::Call(_)) && self.losses.end(position, lane) {
            self.machine.forget();
        }
        match entry {
            Entry::Call(call) => {
                let at = place(call.index);
                self.call(&at, call);
            }
            Entry::Pages(change) => {
                let taken = self.shadows.take(lane, change);
                if !taken.answered.is_empty() {
                    let at = place(change.index);
                    let page = Memory::Page {
                        lane: lane.to_owned(),
                        number: change.page,
                    };
                    let answered = &taken.answered;
                    rules::answered(&at, &page, answered, &self.machine, &mut self.findings);
                }
                if !taken.followed && !std::mem::replace(&mut self.pages_left_out, true) {
                    let at = place(change.index);
                    let why = format!(
                        "page {} is not followed, and others are not: {MAX_PAGES} watched pages are",
                        change.page
                    );
                    self.findings.push(Rule::NotFollowed.found(&at, None, why));
                }
            }
            Entry::Lost(lost) => {
                if lost.may_lack_pages() {
                    self.shadows.lose(Some(lane));
                }
                let at = place(lost.index);
                let why = format!("{} missing ({})", calls_are(lost.how_many()), lost.cause);
                self.findings.push(Rule::CallsMissing.found(&at, None, why));
            }
            // Said elsewhere; no rule is about it.
            Entry::Damaged(damaged) if damaged.took_nothing() => return,
            Entry::Damaged(damaged) => {
                self.shadows.lose(damaged.lane.map(|_| lane));
                let at = place(damaged.index.unwrap_or(0));
                let what = if damaged.is_unknown() {
                    ", with an unknown number of calls"
                } else {
                    ""
                };
                let why = format!(
                    "a part of the trace cannot be read{what} ({})",
                    damaged.defect
                );
                self.findings.push(Rule::CallsMissing.found(&at, None, why));
            }
            Entry::Unknown(unknown) if unknown.is_call() => {
                let at = place(unknown.index);
                let why = format!(
                    "a call is in a record of kind {}, which this version does not know",
                    unknown.kind
                );
                self.findings.push(Rule::CallsMissing.found(&at, None, why));
            }
            // A newer version may have other records of changes than those that this one knows.
            Entry::Unknown(_) => self.shadows.lose(Some(lane)),
        }
        self.machine.take(position, lane, entry);
        if let Entry::Call(call) = entry {
            self.hold(call);
            self.left_out(position, lane, call);
        }
        self.losses.take(lane, entry);
        if self.losses.open() {
            self.machine.forget();
        }
    }

    /// Takes over who has which page behind a call.
    fn hold(&mut self, call: &Call) {
        match call.name() {
            "create_vm" => {
                let id = after(call, Place::Rdi, "vmid").and_then(|id| u16::try_from(id).ok());
                // One that was refused, or gave out an id that no new VM has, leaves the VM of that id as it is.
                let new = call.rax() == Some(0) && impossible_id(call).is_none();
                if let Some(id) = id.filter(|_| new) {
                    self.holders.clear(id);
                }
            }
            "destroy_vm" => {
                if let Some(id) = target(call).filter(|id| !self.machine.vms.contains_key(id)) {
                    self.holders.clear(id);
                }
            }
            _ => {
                if let (Some(role), Some(id)) = (rules::role(call), target(call)) {
                    self.holders.update(&self.machine, id, role);
                }
            }
        }
    }

    /// Says it where the machine has more than is followed.
    fn left_out(&mut self, position: u64, lane: &str, call: &Call) {
        let vm = self.machine.vms.iter().find(|(_, vm)| vm.more);
        let more = self.machine.more || vm.is_some();
        if std::mem::replace(&mut self.machine_left_out, more) || !more {
            return;
        }
        let at = At {
            position,
            lane: lane.to_owned(),
            index: call.index,
        };
        let vm = vm.map(|(id, _)| *id);
        let why = match vm {
            Some(id) => format!("VM {id} has more than is followed"),
            None => "there are more VMs, buffers or processors than are followed".to_owned(),
        };
        self.findings.push(Rule::NotFollowed.found(&at, vm, why));
    }

    fn call(&mut self, at: &At, call: &Call) {
        match &call.outcome {
            Outcome::Unfinished => {
                let why = format!("{} was entered and never returned", call.name());
                self.findings.push(Rule::NeverReturned.found(at, None, why));
            }
            Outcome::Failed(failure) if failure.may_have_run() => {
                let why = format!("{}: {failure}", call.name());
                self.findings.push(Rule::NoAnswer.found(at, None, why));
            }
            _ => {}
        }
        rules::call(
            at,
            call,
            &self.machine,
            &self.shadows,
            (&self.losses, &self.holders),
            &mut self.findings,
        );
    }

    /// What was found until now.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// What was found since this was last asked, in the order of time: of a trace with more findings than memory has room
    /// for.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Ends the check: what is still there was never given back.
    #[must_use]
    pub fn finish(mut self) -> Checked {
        rules::end(&self.machine, &self.losses, &mut self.findings);
        self.finish_early()
    }

    /// Ends the check of a recording that [was not finished](crate::read::Trace::ends_early): what is still there may have been given
    /// back later.
    #[must_use]
    pub fn finish_early(self) -> Checked {
        Checked {
            findings: self.findings,
            machine: self.machine,
        }
    }
}

/// Checks a whole trace, each of its recordings for itself. A finding's position counts the entries in the order of time.
#[must_use]
pub fn check(recorded: &Recorded) -> Vec<Finding> {
    let mut checker = Checker::new();
    let mut findings = Vec::new();
    let names = recorded.names();
    let mut current = 0;
    for (position, (recording, entry)) in (0..).zip(recorded.in_time_by_recording()) {
        if std::mem::replace(&mut current, recording) != recording {
            findings.extend(std::mem::take(&mut checker).finish().findings);
        }
        let lane = entry.lane().map(&names).unwrap_or_default();
        checker.take(position, &lane, entry);
    }
    findings.extend(checker.finish().findings);
    findings
}
