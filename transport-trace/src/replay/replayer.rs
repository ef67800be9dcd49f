//! Answers calls from a trace.

use std::path::Path;
use std::sync::{Arc, Mutex};

use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::layer::fault::{Injector, Tally};
use hypercall_core::{SharedPage, Transport, TransportError};

use super::answer::{Shared, State};
use super::bind::Bindings;
use super::diverge::line;
use super::error::ReplayError;
use super::options::Options;
use super::recorded::Recorded;
use super::report::Divergence;
use super::run::{Injected, OfLane, Report};
use super::tape::tapes;

/// Answers calls from a trace, and from nothing else: see the [module](super).
///
/// A clone is another handle to the same replay. [`lane`](Self::lane) gives what a program calls; the replayer itself is
/// a transport where the trace has a single lane.
#[derive(Clone, Debug)]
pub struct Replayer {
    pub(super) shared: Arc<Shared>,
}

impl Replayer {
    /// How a trace is to be replayed; strictly, unless said otherwise.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Opens a trace for strict replay.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReplayError> {
        Self::options().open(path)
    }

    pub(crate) fn build(options: Options, recorded: Recorded) -> Self {
        let state = State {
            tapes: tapes(&recorded, &options),
            moves: 0,
            bindings: Bindings::of(&recorded.schema),
            skipped: Vec::new(),
            poison: None,
        };
        let injector = options.faults.clone().map(Injector::new);
        let state = Mutex::new(state);
        Self {
            shared: Arc::new(Shared {
                options,
                schema: recorded.schema,
                injector,
                state,
            }),
        }
    }

    /// What answers the calls of this lane. Asked for twice, both go on in the same place.
    ///
    /// Calls of a lane that the trace does not have diverge.
    #[must_use]
    pub fn lane(&self, name: &str) -> ReplayLane {
        let mut state = self.shared.lock();
        let at_lane = state.find(name);
        if let Some(tape) = at_lane.and_then(|at_lane| state.tapes.get_mut(at_lane)) {
            tape.taken = true;
        }
        drop(state);
        ReplayLane {
            shared: Arc::clone(&self.shared),
            name: name.into(),
        }
    }

    /// The lanes of the trace.
    #[must_use]
    pub fn lanes(&self) -> Vec<String> {
        self.shared
            .lock()
            .tapes
            .iter()
            .map(|tape| tape.name.clone())
            .collect()
    }

    /// Where the program left the trace.
    #[must_use]
    pub fn divergence(&self) -> Option<Divergence> {
        self.shared
            .lock()
            .poison
            .as_ref()
            .map(|(divergence, _)| (**divergence).clone())
    }

    /// What became of each fault until now.
    pub fn faults(&self) -> impl Iterator<Item = Tally<'_>> {
        self.shared.injector.iter().flat_map(Injector::tally)
    }

    /// How the replay has gone until now.
    #[must_use]
    pub fn report(&self) -> Report {
        let state = self.shared.lock();
        let (mut unused, mut missing) = (Vec::new(), Vec::new());
        let mut answered: u64 = 0;
        for tape in &state.tapes {
            let used = u64::try_from(tape.used.len()).unwrap_or(u64::MAX);
            answered = answered.saturating_add(used);
            let open = tape.open().map(|(_, record)| line(record));
            unused.extend(open.map(|line| OfLane {
                lane: tape.name.clone(),
                line,
            }));
            missing.extend(tape.gaps());
        }
        Report {
            answered,
            faults: self.faults().map(Injected::from).collect(),
            divergence: state
                .poison
                .as_ref()
                .map(|(divergence, _)| (**divergence).clone()),
            skipped: state.skipped.clone(),
            unused,
            missing,
            untied: state.bindings.untied(),
        }
    }

    /// Ends the replay.
    ///
    /// # Errors
    /// The report, where the program left the trace, skipped records, or did not use all, and where calls are missing from the
    /// trace that were not [crossed](Options::cross_losses), or there were more names than are compared; and where a
    /// [fault](Options::faults) never happened, for then the test did not test what it was written for.
    pub fn finish(&self) -> Result<Report, Box<Report>> {
        let report = self.report();
        if report.is_clean() {
            Ok(report)
        } else {
            Err(Box::new(report))
        }
    }
}

impl Transport for Replayer {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let only = {
            let state = self.shared.lock();
            match state.tapes.as_slice() {
                [only] => only.name.clone(),
                _ => "?".to_owned(),
            }
        };
        self.shared.call(&only, info, args)
    }
}

/// What answers the calls of one lane.
#[derive(Clone, Debug)]
pub struct ReplayLane {
    shared: Arc<Shared>,
    name: Arc<str>,
}

impl ReplayLane {
    /// The lane's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Says which live page the next watched page of the recording is, as the recorder was told. A page that a call hands over is
    /// found without it, of several pages the first. Returns the page's number.
    pub fn watch(&self, page: &'static SharedPage) -> u32 {
        let mut state = self.shared.lock();
        let Some(lane) = state.find(&self.name) else {
            return 0;
        };
        let number = state.tapes.get(lane).map_or(0, |tape| {
            tape.pages
                .number_of(page)
                .unwrap_or_else(|| tape.pages.next_number())
        });
        state.bind_page(lane, number, page);
        number
    }

    /// Writes into the shared pages what the next call writes at its enter, before the call is made. For those who record
    /// a replay: a recorder looks at the pages before it passes a call on, and should find what the first recorder found.
    ///
    /// ```
    /// # use hypercall_core::{Transport, TransportError, arg::Arg, call::CallInfo};
    /// # use hypercall_trace::replay::ReplayLane;
    /// struct Prepared<R>(ReplayLane, R);
    /// impl<R: Transport> Transport for Prepared<R> {
    ///     fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
    ///         self.0.prepare();
    ///         self.1.call(info, args)
    ///     }
    /// }
    /// ```
    pub fn prepare(&self) {
        let mut state = self.shared.lock();
        if state.poison.is_some() {
            return;
        }
        let Some(tape) = state
            .find(&self.name)
            .and_then(|lane| state.tapes.get_mut(lane))
        else {
            return;
        };
        tape.advance();
        let record = tape
            .record(tape.head)
            .filter(|record| record.group.is_none());
        let Some(record) = record.filter(|_| self.shared.checks_pages(tape)) else {
            return;
        };
        let changes: Vec<_> = record.notes.rest().chain(&record.enter).cloned().collect();
        tape.pages.prepare(&changes);
    }

    /// The program looks at its shared pages, as it did by the recorder's [`note_pages`](crate::record::Lane::note_pages):
    /// when an interrupt says that there is something to see, or again and again where it polls. What the recorded program
    /// found at its third look between two calls is written into the pages at the third look; until then they stay as they
    /// were.
    ///
    /// A program that polls a page has to look by this, or what it waits for never comes: neither a recorder nor a replayer can see
    /// a program read memory. One that looks, and waits for what the trace does not have, is told so after
    /// [many looks](Options::empty_looks) that found nothing while no lane made a call, but not as long as another lane that the
    /// program asked for has calls to come. One that waits without looking, or for a lane that does, waits for ever: nothing but
    /// the test's own limit ends that, or `empty_looks`. After some thousands of such looks each takes a moment, so that the other
    /// threads get time. `hcall check` tells of recordings whose program acted on what no look had found.
    ///
    /// # Errors
    /// As of a [call](Transport::call), where a program left the trace, this one or another: a loop that polls has to end with it.
    pub fn note_pages(&self) -> Result<(), TransportError> {
        self.shared.note_pages(&self.name)
    }
}

impl Transport for ReplayLane {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.shared.call(&self.name, info, args)
    }
}
