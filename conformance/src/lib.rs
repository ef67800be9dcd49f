//! The conformance suite: every call of ACRN's interface through its typed methods, in the states that matter, with good
//! and bad arguments; each step says what ACRN answers.
//!
//! It needs a [`Hypervisor`], a little memory that it may lend to VMs, and somebody who lets time pass
//! ([`Surroundings`]). It has no other ties, so the same suite runs in ring 0 of a guest, over a loopback in an ordinary
//! test, and under a recorder. What it finds goes to a [`Report`], one row for each step.
//!
//! # What it leaves out
//! What hangs or crashes a real hypervisor is left out: an affinity that names a missing processor, asynchronous I/O
//! before the first ring, starting a VM without vCPUs, pausing the caller. No option asks for them: a suite that somebody
//! starts on a machine cannot end it by a slip. Over the fake, which says what would have happened, its own tests make them
//! (`transport-mock/tests/fake_hazards.rs`). What depends on the machine is marked, and left
//! out unless [`Options::recorded_machine`] says that it is the one that was recorded: one processor, a debug build, one
//! configured User VM. What outlives the suite until the next boot is left out unless [`Options::lasting`] allows it.
//!
//! # Where the answers come from
//! From a real ACRN's recorded answers, and where a state was not recorded, from its source: the methods of
//! [`Hypervisor`] name the functions.
#![no_std]
#![warn(missing_docs, unreachable_pub)]

extern crate hypercall_core as hypercall;

mod creation;
mod devices;
#[cfg(feature = "fake")]
mod fake;
mod interrupts;
mod life;
mod machine;
mod memory;
mod program;
mod requests;
mod states;
mod steps;
mod user_vm;

#[cfg(feature = "fake")]
pub use fake::{FakeSurroundings, PAGES, Player};
pub use program::{Access, CODE, IDLE_ENTRY, PROGRAM_ENTRY, next_access};
pub use steps::{Counts, Expected, Outcome, Report, Row, Silent};

use hypercall::acrn::{Hypervisor, VmName, WorldSwitch};
use hypercall::{Gpa, SharedPage};
use steps::Steps;

/// Pages that [`Lent::pages`] must have.
pub const LENT_PAGES: usize = 64;
/// Of these, the first so many are handed to the hypervisor, which keeps them: pages for a recorder to watch.
pub const KEPT_PAGES: usize = 6;
/// The guest physical address at which the recorded runs lend their memory: traces compare equal when it is the same.
pub const LENT_AT: Gpa = Gpa(0x200_0000);

/// Memory of the Service VM that the suite may give to the hypervisor and to User VMs.
#[derive(Clone, Copy, Debug)]
pub struct Lent {
    /// At least [`LENT_PAGES`] pages, which nobody else uses.
    pub pages: &'static [SharedPage],
    /// Their guest physical address. They follow each other there.
    pub gpa: Gpa,
}

/// What the suite needs besides a hypervisor.
pub trait Surroundings {
    /// Memory to lend.
    fn lent(&self) -> Lent;

    /// Lets time pass until `done`, or until it is clear that it will not be. A User VM runs meanwhile.
    fn wait(&self, done: &dyn Fn() -> bool) -> bool;

    /// How often the upcall of this vector came, where that is counted.
    fn upcalls(&self, _vector: u8) -> Option<u64> {
        None
    }

    /// The calls that carry more than two registers, where the way to the hypervisor has them.
    fn worlds(&self) -> Option<&dyn WorldSwitch> {
        None
    }
}

/// Surroundings under a recorder or a replayer, which look at the shared pages whenever the suite does.
pub struct Noting<'a> {
    /// The surroundings.
    pub inner: &'a dyn Surroundings,
    /// Looks at the pages.
    pub note: &'a dyn Fn(),
}

impl Surroundings for Noting<'_> {
    fn lent(&self) -> Lent {
        self.inner.lent()
    }
    fn wait(&self, done: &dyn Fn() -> bool) -> bool {
        self.inner.wait(&|| {
            (self.note)();
            done()
        })
    }
    fn upcalls(&self, vector: u8) -> Option<u64> {
        self.inner.upcalls(vector)
    }
    fn worlds(&self) -> Option<&dyn WorldSwitch> {
        self.inner.worlds()
    }
}

/// Which steps are made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The name of a configured User VM with one vCPU at least.
    pub vm: VmName,
    /// The machine is the recorded one, so what depends on it is checked too.
    pub recorded_machine: bool,
    /// Steps whose effects outlive the suite are made too.
    pub lasting: bool,
}

impl Options {
    /// Everything, for the recorded machine and its fake.
    pub const RECORDED: Self = Self {
        vm: match VmName::new("POST_STD_VM1") {
            Ok(name) => name,
            Err(_) => VmName::EMPTY,
        },
        recorded_machine: true,
        lasting: true,
    };

    /// What holds on every ACRN that has a User VM of this name configured.
    #[must_use]
    pub const fn any_machine(vm: VmName) -> Self {
        Self {
            vm,
            recorded_machine: false,
            lasting: false,
        }
    }
}

/// Makes all steps. The hypervisor should have been booted before, or left by an earlier run.
///
/// Where no User VM with a vCPU is configured under [`Options::vm`], one step fails, the VM that the name made is destroyed,
/// and the suite ends: it starts no VM.
pub fn run(
    hypervisor: &dyn Hypervisor,
    surroundings: &dyn Surroundings,
    options: Options,
    report: &mut dyn Report,
) -> Counts {
    let mut steps = Steps::new(hypervisor, surroundings, options, report);
    machine::run(&mut steps);
    if !creation::run(&mut steps) {
        return steps.finish();
    }
    states::run(&mut steps);
    memory::run(&mut steps);
    interrupts::run(&mut steps);
    requests::run(&mut steps);
    devices::run(&mut steps);
    life::run(&mut steps);
    creation::lasting(&mut steps);
    steps.finish()
}
