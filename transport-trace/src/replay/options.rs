//! How a trace is to be replayed.

use std::collections::BTreeMap;
use std::path::Path;

use hypercall_core::call::InterfaceInfo;
use hypercall_core::layer::fault::Plan;

use super::error::{ReplayError, damage};
use super::interface::same_interface;
use super::recorded::Recorded;
use super::recordings::of_trace;
use super::replayer::Replayer;
use crate::entry::Damaged;
use crate::read::Trace;

/// How many faults a plan for replay may have.
pub const FAULTS: usize = 32;

/// Which record answers a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The next one of the lane, and it must fit.
    #[default]
    Strict,
    /// The first unused one of the lane that fits.
    Keyed,
    /// The next one that fits; those before it are skipped, and each is reported.
    Loose,
}

/// How a trace is to be replayed. Made by [`Replayer::options`].
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) mode: Mode,
    pub(crate) groups: Vec<Group>,
    pub(crate) pools: Vec<String>,
    pub(crate) ignored: Vec<(String, String)>,
    pub(crate) keys: BTreeMap<String, Vec<String>>,
    pub(crate) cross_losses: bool,
    pub(crate) accept_damage: bool,
    pub(crate) unchecked_pages: bool,
    pub(crate) pages_ahead: bool,
    pub(crate) first_look: bool,
    pub(crate) empty_looks: Option<u64>,
    pub(crate) secret_key: Option<[u8; 16]>,
    pub(crate) interface: Option<&'static InterfaceInfo>,
    pub(crate) faults: Option<Plan<FAULTS>>,
    pub(crate) memory: Option<u64>,
    pub(crate) recording: Option<u32>,
}

/// Records whose order does not matter.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    /// Neighbours that are all of these calls.
    Calls(Vec<String>),
    /// Those of a lane with an index from the first to the last number.
    Range(String, u64, u64),
}

impl Options {
    /// Chooses by [`Mode`]. The default is [`Mode::Strict`].
    #[must_use]
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Lets calls with these names that are neighbours in a lane be made in any order.
    #[must_use]
    pub fn unordered(mut self, calls: &[&str]) -> Self {
        self.groups.push(Group::Calls(
            calls.iter().map(|name| (*name).to_owned()).collect(),
        ));
        self
    }

    /// Lets the calls of a lane from index `first` to `last` be made in any order.
    #[must_use]
    pub fn unordered_range(mut self, lane: &str, first: u64, last: u64) -> Self {
        self.groups.push(Group::Range(lane.to_owned(), first, last));
        self
    }

    /// Makes the lanes `name`, `name.1`, `name.2` and so on one lane again, as the program had them: a recorder's shared
    /// lane. Its calls are answered by [key](Mode::Keyed), whatever the mode.
    #[must_use]
    pub fn pool(mut self, name: &str) -> Self {
        self.pools.push(name.to_owned());
        self
    }

    /// Leaves a value of a call out of the comparison: `cpu_affinity` of `create_vm`. For elements of an array give the
    /// name without the index, `regions.gpa`. The call `*` is every call.
    #[must_use]
    pub fn ignore(mut self, call: &str, field: &str) -> Self {
        self.ignored.push((call.to_owned(), field.to_owned()));
        self
    }

    /// Compares only these values of a call: its key.
    #[must_use]
    pub fn key(mut self, call: &str, fields: &[&str]) -> Self {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        self.keys.insert(call.to_owned(), fields);
        self
    }

    /// Goes on behind calls that are missing from the trace. Without it, replay ends there.
    #[must_use]
    pub const fn cross_losses(mut self) -> Self {
        self.cross_losses = true;
        self
    }

    /// Replays what is whole of a damaged trace. Calls that are missing are a loss all the same.
    #[must_use]
    pub const fn accept_damage(mut self) -> Self {
        self.accept_damage = true;
        self
    }

    /// Does not compare what the program wrote into shared pages.
    #[must_use]
    pub const fn unchecked_pages(mut self) -> Self {
        self.unchecked_pages = true;
        self
    }

    /// Writes what was noted between two calls as soon as the first of them returned, without being asked. For programs
    /// that watch a page and do not call [`note_pages`](super::ReplayLane::note_pages).
    #[must_use]
    pub const fn pages_ahead(mut self) -> Self {
        self.pages_ahead = true;
        self
    }

    /// Shows at the first look what the recorded program found after some looks that found nothing. For programs that look
    /// less often than they did when they were recorded, such as those that give up by a clock.
    #[must_use]
    pub const fn at_first_look(mut self) -> Self {
        self.first_look = true;
        self
    }

    /// How many looks at shared pages in a row may find nothing where the trace has nothing more to show before the next call:
    /// the look after these [ends the replay](super::Cause::Waits), or says which calls are missing there. A call of any lane, or a
    /// look that finds something, begins the count anew.
    ///
    /// Without this 1,048,576, which take a minute or more, and however many while another lane that the program asked for has
    /// calls to come and does not wait itself: what a correct program waits for comes from there, sooner or later. With this,
    /// what other lanes have to come is not asked: for a replay that never ends, to see where it waits, and for programs that give
    /// up by a clock.
    #[must_use]
    pub const fn empty_looks(mut self, most: u64) -> Self {
        self.empty_looks = Some(most);
        self
    }

    /// The key that the recorder hashed secrets with. Without it a secret is not compared.
    #[must_use]
    pub const fn secret_key(mut self, key: [u8; 16]) -> Self {
        self.secret_key = Some(key);
        self
    }

    /// The interface that the program was compiled with: a trace of another version of it, whose calls carry other things,
    /// is refused. Names, units and roles may differ.
    #[must_use]
    pub const fn interface(mut self, interface: &'static InterfaceInfo) -> Self {
        self.interface = Some(interface);
        self
    }

    /// Breaks calls on purpose, in [the language of faults](hypercall_core::layer::fault). A call that is answered
    /// `instead` uses no record: a program that tries again gets the recorded answer.
    ///
    /// Calls are counted over all lanes. The [report](super::Report::faults) says what became of each fault; with one that never
    /// happened the replay is not clean.
    #[must_use]
    pub fn faults(mut self, plan: Plan<FAULTS>) -> Self {
        self.faults = Some(plan);
        self
    }

    /// The memory that a trace's entries may take, in bytes. Without it [`Recorded::LIMIT`].
    #[must_use]
    pub const fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Replays this one of the recordings that the trace was joined from: 0 is the first. The numbers are those of
    /// [`Entries::recording`](crate::read::Entries::recording) and [`Recorded::recording_of`]. Without it a trace in which more than one of
    /// them has entries is [refused](ReplayError::Joined).
    #[must_use]
    pub const fn recording(mut self, number: u32) -> Self {
        self.recording = Some(number);
        self
    }

    /// Opens a trace for replay.
    ///
    /// # Errors
    /// [`ReplayError`].
    pub fn open(self, path: impl AsRef<Path>) -> Result<Replayer, ReplayError> {
        self.replay(&Trace::open(path)?)
    }

    /// Replays a trace that is in memory as a file would be.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(self, bytes: &[u8]) -> Result<Replayer, ReplayError> {
        self.replay(&Trace::from_bytes(bytes)?)
    }

    /// Replays an opened trace, which is read into memory.
    ///
    /// # Errors
    /// [`ReplayError::Joined`], [`ReplayError::NoRecording`], [`ReplayError::Damaged`], [`ReplayError::TooLarge`],
    /// [`ReplayError::OtherInterface`].
    pub fn replay(self, trace: &Trace) -> Result<Replayer, ReplayError> {
        let recording = of_trace(trace, self.recording)?;
        // What the file begins with is of all of them.
        let of_it = |damaged: &&Damaged| {
            damaged.offset == 0 || trace.recording_at(damaged.offset) == recording
        };
        let known: Vec<_> = trace.damage().filter(of_it).cloned().collect();
        if !self.accept_damage && !known.is_empty() {
            return Err(ReplayError::Damaged(known));
        }
        let limit = self.memory.unwrap_or(Recorded::LIMIT);
        let recorded = Recorded::read_one(trace, recording, limit)?;
        self.checked(recorded)
    }

    /// Replays entries that are in memory.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub fn recorded(self, recorded: Recorded) -> Result<Replayer, ReplayError> {
        let recorded = recorded.one(self.recording)?;
        self.checked(recorded)
    }

    /// Replays one recording.
    fn checked(self, recorded: Recorded) -> Result<Replayer, ReplayError> {
        let damaged = damage(&recorded);
        if !self.accept_damage && !damaged.is_empty() {
            return Err(ReplayError::Damaged(damaged));
        }
        if let Some(interface) = self.interface {
            same_interface(&recorded, interface)?;
        }
        Ok(Replayer::build(self, recorded))
    }

    /// Whether there may be values of a call that are not compared.
    pub(crate) fn leaves_out(&self, call: &str) -> bool {
        let of_call = |(of, _): &(String, String)| of == call || of == "*";
        self.keys.contains_key(call) || self.ignored.iter().any(of_call)
    }

    /// Whether a value of a call is compared.
    pub(crate) fn takes_part(&self, call: &str, path: &str) -> bool {
        let plain = without_indices(path);
        if let Some(key) = self.keys.get(call) {
            return key.iter().any(|field| *field == plain || field == path);
        }
        !self
            .ignored
            .iter()
            .any(|(of, field)| (of == call || of == "*") && (*field == plain || field == path))
    }
}

/// `regions.gpa` for `regions[2].gpa`.
fn without_indices(path: &str) -> String {
    let mut inside = false;
    let kept = path.chars().filter(|letter| {
        match letter {
            '[' => inside = true,
            ']' => {
                inside = false;
                return false;
            }
            _ => {}
        }
        !inside
    });
    kept.collect()
}
