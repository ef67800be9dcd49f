//! Replays a trace: a [`Transport`](hypercall_core::Transport) that answers calls from what was recorded.
//!
//! A trace from the field becomes an ordinary test: the program runs over a [`Replayer`] instead of a hypervisor, gets
//! the recorded answers, and is told where it leaves the trace. Nothing else ever answers: there is no hypervisor behind
//! a replayer.
//!
//! # Which record answers
//! Each lane (a name that the program gave when it was recorded, such as `main` or `vcpu0`) has a place in the trace of
//! its own, which belongs to the replayer: two tests never share one. [`Mode`] says how a record is chosen:
//! [strictly](Mode::Strict) the next one, [by key](Mode::Keyed) the first unused one that fits, [loosely](Mode::Loose)
//! the next one that fits. In a strict sequence, [groups](Options::unordered) may be made in any order.
//!
//! # What fits
//! What goes into a call is compared value by value, each by its role in the interface's definition. Plain values are
//! equal. Names that the hypervisor gave out (handles, such as a VM's id) and addresses are **tied**: the first sight of
//! a pair ties the recorded value to the live one, later uses must agree, and recorded values in answers become the live
//! ones. 0 and all ones stand for themselves. Counters and clocks (volatile) are not compared; secrets are where the
//! recorder's key is [given](Options::secret_key). A secret that came out of a call is in the trace as a hash, and that is
//! what the program gets.
//!
//! # Memory that a hypervisor keeps
//! What a hypervisor wrote into a shared page is written again at the points where the recorder saw it: at the enter and
//! the exit of calls, and where the program [looked](ReplayLane::note_pages). A program that polls finds a change at the
//! same look as when it was recorded. What the program itself wrote is compared.
//!
//! A program that waits for a change which the trace does not have is [told so](Cause::Waits) after a million looks, when no other
//! lane of the program has [calls to come](Options::empty_looks). The trace does not have it where the program polled without looks
//! when it was recorded, or acted on what it saw without another one: [the rule](crate::record#pages-that-the-hypervisor-writes). A replay that polls without looks cannot be seen, and not be ended.
//!
//! # When a program leaves the trace
//! The call is answered with [`Unexpected`](hypercall_core::TransportError::Unexpected) and a summary, and so is every
//! later call and look of any lane. [`Replayer::divergence`] has the whole report, for people and as data (serde). A place where calls are
//! missing is such an end too, unless the [options](Options::cross_losses) say otherwise, and so is a call that never
//! returned. Recorded failures are answers, not divergences: they fail as they did.
//!
//! # Several recordings in one file
//! A file that was joined from several recordings has that many lanes of a name, pages of a number, machines. A replay is of one of them:
//! [`Options::recording`] chooses it, and a file in which more than one has entries is refused without.
//!
//! # Example
//! ```
//! use hypercall_core::{Client, Error, Gpa, acrn::{Hypervisor, HypervisorCalls, PcpuSet, VmCreation, server::AcrnServer}};
//! use hypercall_mock::{fake::FakeAcrn, loopback::Loopback};
//! use hypercall_trace::{record::{Recorder, Recording}, replay::Replayer};
//!
//! fn program(hypervisor: &impl Hypervisor, name: &str) -> Result<(), Error> {
//!     let name = name.try_into().expect("a name");
//!     let vm = hypervisor.create_vm(&mut VmCreation::new(name).with_cpu_affinity(PcpuSet(1)))?;
//!     hypervisor.pause_vm(vm)?;
//!     hypervisor.destroy_vm(vm)
//! }
//!
//! // On a machine, or here over a fake one.
//! let machine = FakeAcrn::new();
//! let transport = Loopback::new(AcrnServer::new(&machine), &machine, Gpa(0x100_0000), 0x1_0000);
//! # let path = std::env::temp_dir().join(format!("hypercall-doc-replay-{}.hct", std::process::id()));
//! let recording = Recording::options(&[HypervisorCalls::INTERFACE]).create(&path)?;
//! let recorder = Recorder::new(transport, recording.lane("main")?);
//! program(&Client::new(recorder), "demo")?;
//! recording.finish();
//!
//! // On a laptop: the same answers.
//! let replay = || Replayer::options().interface(HypervisorCalls::INTERFACE).open(&path);
//! let replayer = replay()?;
//! program(&Client::new(replayer.lane("main")), "demo")?;
//! replayer.finish()?;
//!
//! // Another program is told where it leaves the trace.
//! let replayer = replay()?;
//! program(&Client::new(replayer.lane("main")), "other").unwrap_err();
//! let told = replayer.divergence().expect("it left the trace");
//! assert_eq!(told.differences[0].to_string(), r#"name: expected "demo", found "other""#);
//! # std::fs::remove_file(&path)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
pub(crate) mod bind;
mod choose;
pub(crate) mod compare;
mod continuity;
mod difference;
mod diverge;
mod error;
pub(crate) mod failure;
mod handed;
mod hole;
pub(crate) mod interface;
pub(crate) mod leaf;
mod look;
mod notes;
mod options;
mod output;
mod pages;
mod pool;
mod recorded;
mod recordings;
mod replayer;
mod report;
mod run;
mod tape;
pub(crate) mod text;

pub(crate) use choose::has_secret;

pub use bind::Seen;
pub use difference::{FieldDifference, Reason};
pub use error::ReplayError;
pub use options::{FAULTS, Mode, Options};
pub(crate) use recorded::LaneEntries;
pub use recorded::{Recorded, TooLarge};
pub(crate) use recordings::NotOne;
pub use replayer::{ReplayLane, Replayer};
pub use report::{Candidate, Cause, Divergence, Line, WhyNot};
pub use run::{Gap, Injected, OfLane, Report};
