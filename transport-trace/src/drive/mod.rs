//! The other direction: a recorded trace's requests into a hypervisor, to see whether it still answers as it did.
//!
//! ```
//! use hypercall_core::{Gpa, acrn::{HypervisorCalls, server::AcrnServer}};
//! use hypercall_mock::{fake::FakeAcrn, loopback::Loopback};
//! use hypercall_trace::{drive::Driver, replay::Recorded};
//!
//! # fn field_trace() -> Recorded { Recorded::default() }
//! let trace: Recorded = field_trace();
//! let machine = FakeAcrn::new();
//! let transport = Loopback::new(AcrnServer::new(&machine), &machine, Gpa(0x100_0000), 0x1_0000);
//! let driven = Driver::new(HypervisorCalls::INTERFACE).drive(&trace, &transport);
//! assert!(driven.differences.is_empty(), "{driven}");
//! ```
//!
//! Calls are made one after the other in the order of time, whatever lane they were recorded in. Names that the
//! hypervisor gives out are tied to the recorded ones and used in later calls. What a program or a guest wrote into shared
//! pages is written as it was recorded; guests do not run, so what only a guest can cause does not happen.
//!
//! **Over a real hypervisor** this does what the trace says: it creates VMs, maps memory, starts them. Addresses go out as
//! recorded unless they are [mapped](Driver::map_addresses), so the contract of the transport is the caller's to keep.
//! Calls that brought the machine down or never returned are not made, unless that is [asked for](Driver::with_hazards).
//! Never made are calls that hold a secret, of which only a hash is left, and those that did not reach the hypervisor. A call
//! whose answer was lost is made, for the hypervisor may have acted on it, and has nothing to be compared with.
//!
//! Of a trace that was joined from several recordings, the machine of one may not be that of the next: drive each into a hypervisor of its
//! own ([`Recorded::into_recordings`]).

mod build;
mod pool;
mod report;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use hypercall_core::call::InterfaceInfo;
use hypercall_core::{SharedPage, Transport};

use crate::diff::{differences, outcome};
use crate::entry::{Call, Entry, Failure, Outcome, PageChange, Place};
use crate::replay::bind::Bindings;
use crate::replay::interface::difference;
use crate::replay::{Line, OfLane, Recorded, text};
use crate::schema::Schema;
use build::Build;
use pool::Pool;
use report::MAX_LISTED;
pub use report::{Driven, NotMade, OtherAnswer, WhyNotMade};

/// A way of an address: from the recorded one to the one that goes out.
type Map = Box<dyn Fn(u64) -> u64 + Send + Sync>;

/// Makes a trace's calls.
pub struct Driver {
    interface: &'static InterfaceInfo,
    hazards: bool,
    all: bool,
    map: Option<Map>,
    pages: BTreeMap<(String, u32), &'static SharedPage>,
    /// Pages that earlier drives allocated, where they are used again.
    spare: Option<Mutex<Pool>>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("interface", &self.interface.name)
            .finish_non_exhaustive()
    }
}

impl Driver {
    /// Makes calls of this interface. Stops at the first answer that differs.
    #[must_use]
    pub const fn new(interface: &'static InterfaceInfo) -> Self {
        Self {
            interface,
            hazards: false,
            all: false,
            map: None,
            pages: BTreeMap::new(),
            spare: None,
        }
    }

    /// Goes on behind an answer that differs.
    #[must_use]
    pub const fn all(mut self) -> Self {
        self.all = true;
        self
    }

    /// Makes calls that brought the machine down as well. For fakes.
    #[must_use]
    pub const fn with_hazards(mut self) -> Self {
        self.hazards = true;
        self
    }

    /// Says which address goes out in place of a recorded one.
    #[must_use]
    pub fn map_addresses(mut self, map: impl Fn(u64) -> u64 + Send + Sync + 'static) -> Self {
        self.map = Some(Box::new(map));
        self
    }

    /// Says which live page stands for a watched page of a lane. Without it, pages are allocated, and never freed: the
    /// hypervisor keeps them. It stands for itself: a call that hands over several pages of which it is the first is not made.
    ///
    /// Of several pages that a call hands over, a trace knows the first one: what was recorded of it is written into it. The others
    /// hold zeros, also where they were watched by themselves.
    #[must_use]
    pub fn page(mut self, lane: &str, number: u32, page: &'static SharedPage) -> Self {
        self.pages.insert((lane.to_owned(), number), page);
        self
    }

    /// Uses the pages that it allocated again in its next drive: for hypervisors that are gone by then, as a fake is. Without it each
    /// drive allocates its own.
    #[must_use]
    pub fn reuse_pages(mut self) -> Self {
        self.spare = Some(Mutex::default());
        self
    }

    /// Makes the calls. Of several recordings they go into this one hypervisor, one recording after the other: names and pages of one are
    /// not taken for those of the next.
    pub fn drive(&self, recorded: &Recorded, transport: &(impl Transport + ?Sized)) -> Driven {
        let name = recorded.names();
        let mut run = self.run(transport);
        let mut recording = 0;
        for (of, entry) in recorded.in_time_by_recording() {
            if std::mem::replace(&mut recording, of) != of {
                run.begin();
            }
            if !run.entry(entry, &name) {
                break;
            }
        }
        run.finish()
    }

    /// Makes the calls among entries that come one by one, in the order of time: of a trace larger than memory, as
    /// [`Trace::merged`](crate::read::Trace::merged) has them where that is [in order](crate::read::Merged::in_order). They are of one
    /// recording.
    pub fn drive_entries(
        &self,
        entries: impl IntoIterator<Item = impl std::borrow::Borrow<Entry>>,
        lane_name: impl Fn(u32) -> String,
        transport: &(impl Transport + ?Sized),
    ) -> Driven {
        let mut run = self.run(transport);
        for entry in entries {
            if !run.entry(entry.borrow(), &lane_name) {
                break;
            }
        }
        run.finish()
    }

    fn run<'d, T: Transport + ?Sized>(&'d self, transport: &'d T) -> Run<'d, T> {
        let compiled = Schema::from_interfaces(&[self.interface]);
        let spare = self.spare.as_ref().map(|spare| {
            let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *spare)
        });
        let spare = spare.unwrap_or_default();
        Run {
            driver: self,
            transport,
            bindings: Bindings::of(&compiled),
            compiled,
            build: Build::new(&self.pages, spare),
            out: Driven::default(),
        }
    }
}

struct Run<'d, T: ?Sized> {
    driver: &'d Driver,
    transport: &'d T,
    compiled: Schema,
    bindings: Bindings,
    build: Build,
    out: Driven,
}

impl<T: Transport + ?Sized> Run<'_, T> {
    /// Begins another recording.
    fn begin(&mut self) {
        self.count_untied();
        self.bindings = self.bindings.anew();
        // The hypervisor still has the pages of the one before.
        let pool = std::mem::take(&mut self.build.pool);
        self.build = Build::new(&self.driver.pages, pool);
    }

    fn count_untied(&mut self) {
        self.out.untied = self.out.untied.saturating_add(self.bindings.untied());
    }

    fn finish(mut self) -> Driven {
        self.count_untied();
        if let Some(spare) = &self.driver.spare {
            self.build.pool.take_back();
            let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
            spare.join(self.build.pool);
        }
        self.out
    }

    /// Whether to go on.
    fn entry(&mut self, entry: &Entry, lane_name: impl Fn(u32) -> String) -> bool {
        let lane = entry.lane().map(lane_name).unwrap_or_default();
        match entry {
            Entry::Call(call) => return self.call(&lane, call),
            Entry::Pages(change) => self.pages(&lane, change),
            Entry::Lost(lost) => self.out.miss(lost.how_many()),
            Entry::Damaged(damaged) => self.out.miss(damaged.how_many()),
            // A call that nobody can make.
            Entry::Unknown(unknown) if unknown.is_call() => self.out.miss(Some(1)),
            Entry::Unknown(_) => {}
        }
        true
    }

    /// Whether to go on.
    fn call(&mut self, lane: &str, call: &Call) -> bool {
        let this = || OfLane {
            lane: lane.to_owned(),
            line: Line {
                index: call.index,
                text: text::call(call),
            },
        };
        if let Some(why) = self.refuse(call) {
            self.out.leave_out(this, why);
            return true;
        }
        let info = self.driver.interface.call(call.name());
        let info = info.filter(|_| {
            // A block of another size or layout would say something else than was recorded.
            let ours = self.compiled.find(None, call.name());
            let theirs = call.schema.as_deref();
            ours.zip(theirs)
                .is_some_and(|(ours, theirs)| difference(theirs, ours).is_none())
        });
        let Some(info) = info else {
            self.out.leave_out(this, WhyNotMade::OtherInterface);
            return true;
        };
        if crate::replay::has_secret(call) {
            self.out.leave_out(this, WhyNotMade::Secret);
            return true;
        }
        let map = self
            .driver
            .map
            .as_deref()
            .map(|map| map as &dyn Fn(u64) -> u64);
        let live = self
            .build
            .make(lane, call, info, &self.bindings, map, self.transport);
        let live = match live {
            Ok(live) => live,
            Err(why) => {
                self.out.leave_out(this, why);
                return true;
            }
        };
        self.out.made = self.out.made.saturating_add(1);
        if let Outcome::Failed(Failure::Lost(_) | Failure::Other { .. }) = &call.outcome {
            self.out.unknown = self.out.unknown.saturating_add(1);
            return true;
        }
        let mut found = match (&call.outcome, &live.outcome) {
            // Memory is compared where there is an answer.
            (Outcome::Returned(_), Outcome::Returned(_)) => {
                differences(call, &live, &mut self.bindings, lane)
            }
            _ => outcome(call, &live).into_iter().collect(),
        };
        // What goes in is as recorded by construction; a mapped address is not a difference.
        if self.driver.map.is_some() {
            found.retain(|difference| {
                difference.field == "RAX" || !is_input(call, &difference.place)
            });
        }
        if found.is_empty() {
            self.out.same = self.out.same.saturating_add(1);
            return true;
        }
        let answer = text::answer(&live);
        if self.out.differences.len() < MAX_LISTED {
            self.out.differences.push(OtherAnswer {
                call: this(),
                answer,
                differences: found,
            });
        } else {
            self.out.more_differences = self.out.more_differences.saturating_add(1);
        }
        // A machine that is down answers nothing more.
        self.driver.all
            && !matches!(
                &live.outcome,
                Outcome::Failed(Failure::Crashed(_) | Failure::Hung(_))
            )
    }

    fn refuse(&self, call: &Call) -> Option<WhyNotMade> {
        if let Outcome::Failed(
            Failure::Untranslatable { .. }
            | Failure::Layer { .. }
            | Failure::Unsupported(_)
            | Failure::Unexpected(_),
        ) = &call.outcome
        {
            return Some(WhyNotMade::NeverIssued);
        }
        if self.driver.hazards {
            return None;
        }
        match &call.outcome {
            Outcome::Unfinished => Some(WhyNotMade::Unfinished),
            Outcome::Failed(Failure::Crashed(_) | Failure::Hung(_)) => Some(WhyNotMade::Hazard),
            _ => None,
        }
    }

    /// Writes what the program, or a guest, wrote. What the hypervisor wrote during a call it writes itself.
    fn pages(&mut self, lane: &str, change: &PageChange) {
        if change.when == crate::entry::When::Exit {
            return;
        }
        let Some(page) = self.build.page(lane, change.page) else {
            self.out.pages_not_written = self.out.pages_not_written.saturating_add(1);
            return;
        };
        for run in &change.runs {
            if let Ok(offset) = usize::try_from(run.offset) {
                // A run lies within its page, or the trace is not well formed and there is nothing to write.
                let _ = page.write(offset, &run.after);
            }
        }
    }
}

/// Whether a difference is in what went in: in a register, or in a block that the hypervisor only reads.
fn is_input(call: &Call, place: &str) -> bool {
    if place == "RDI" || place == "RSI" {
        return true;
    }
    let read = |place: Place| {
        call.block(place)
            .is_some_and(|block| block.direction == hypercall_core::call::Direction::Read)
    };
    Place::ALL
        .into_iter()
        .any(|of| read(of) && place.starts_with(&of.to_string()))
}
