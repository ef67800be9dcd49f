//! Opens traces, and says on the error output what could not be read of them.

use std::collections::BTreeSet;
use std::path::Path;

use hypercall_trace::entry::{Damaged, Defect, Entry};
use hypercall_trace::format::{BLOCK_HEADER, BlockKind};
use hypercall_trace::read::{Lane, Merged, Trace};

use serde::Serialize;

use crate::failure::Failure;
use crate::format::{Context, UNKNOWN_NUMBER, damage};

/// Damaged stretches that are told one by one.
const TOLD: usize = 10;

/// More lanes than this only a hostile file has.
const MAX_LANES: u32 = 1 << 16;

/// The lanes of a trace from 0 on without a hole, those included that nothing names any more. `None` where there are more than
/// a program can have.
pub(crate) fn lanes(trace: &Trace) -> Option<Vec<Lane>> {
    let named = trace.lanes().iter().map(|lane| lane.id);
    let used = trace.data().map(|block| block.header.lane);
    // Of a damaged block that held calls.
    let damaged = trace
        .damage()
        .filter_map(|damaged| damaged.index.and(damaged.lane));
    let nameless = trace.lost_descriptions().lanes.into_iter();
    let nameless = nameless.filter(|lane| *lane <= MAX_LANES);
    let Some(last) = named.chain(used).chain(damaged).chain(nameless).max() else {
        return Some(Vec::new());
    };
    let lane = |id| Lane {
        id,
        name: trace.lane_name(id),
    };
    (last <= MAX_LANES).then(|| (0..=last).map(lane).collect())
}

/// Opens a trace.
pub(crate) fn open(path: &Path) -> Result<Trace, Failure> {
    regular(path)?;
    Trace::open(path).map_err(|error| Failure::open(path, error))
}

/// Whether a name is of a file that can be read at any offset. One that is not there is left to who opens it.
pub(crate) fn regular(path: &Path) -> Result<(), Failure> {
    let Ok(data) = path.metadata() else {
        return Ok(());
    };
    if data.is_dir() {
        return Err(Failure::input(
            format!("{} is a folder", path.display()),
            "name a trace; for a recording's rings see `hcall recover --help`",
        ));
    }
    if !data.is_file() {
        // To open a pipe would wait for a writer, perhaps for ever.
        return Err(Failure::input(
            format!("{} is a pipe or a device, not a file", path.display()),
            "a trace is read at any offset: write it into a file first",
        ));
    }
    Ok(())
}

/// Collects what could not be read of a trace, and what nobody recorded.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    /// Sentences about damaged descriptions, the first ones.
    descriptions: Vec<String>,
    /// How many more there are.
    more_descriptions: usize,
    damaged: Vec<Damaged>,
    more: u64,
    lost: u64,
    /// Whether calls are noted as lost and nobody knows how many.
    lost_unknown: bool,
    /// Records that were left out, because this version does not know what they are.
    unknown: u64,
    /// Whether the file ends before the recording does.
    unfinished: bool,
    /// Recordings of a joined file without an end that others follow.
    without_end: BTreeSet<u32>,
    /// Those of them whose end is damaged.
    with_damaged_end: BTreeSet<u32>,
    /// Whether its end is damaged, so that nobody knows.
    end_damaged: bool,
    /// Where cut descriptions stand, which are told.
    cut: BTreeSet<u64>,
    /// The trace's file, where there are two.
    whose: Option<String>,
}

/// What a damaged stretch is, where it is not records: `the schema`, `the name of a lane`.
pub(crate) fn what_is_damaged(trace: &Trace, damaged: &Damaged) -> Option<String> {
    Some(match trace.kind_of(damaged)? {
        BlockKind::Schema => "the schema".to_owned(),
        BlockKind::Lane => format!("the name of lane {}", damaged.lane?),
        BlockKind::Clock => "a point of the clock".to_owned(),
        BlockKind::Index => "the index at the end".to_owned(),
        BlockKind::Data | BlockKind::Announce | BlockKind::Unknown(_) => return None,
    })
}

/// What is said of a description that was lost when the trace was made.
pub(crate) const LOST_BEFORE: &str = "it was damaged in the trace that this one was made from";

/// Whether a description is not damaged here, but was in the trace that this one was made from: its block has no bytes.
pub(crate) fn was_lost_before(damaged: &Damaged) -> bool {
    damaged.defect == Defect::Description && damaged.length == BLOCK_HEADER as u64
}

/// The damaged descriptions, one that the file's end cut included, with the kinds of their blocks.
fn descriptions(trace: &Trace) -> impl Iterator<Item = (BlockKind, &Damaged)> {
    let cut = trace
        .damage()
        .filter(|damaged| damaged.defect == Defect::Cut);
    let cut = cut.filter_map(|damaged| Some((trace.kind_of(damaged)?, damaged)));
    let describes =
        |(_, damaged): &(BlockKind, &Damaged)| what_is_damaged(trace, damaged).is_some();
    trace.damaged_descriptions().chain(cut.filter(describes))
}

/// A damaged description as a sentence, with what follows from it.
fn description(trace: &Trace, kind: BlockKind, damaged: &Damaged) -> String {
    let what = what_is_damaged(trace, damaged).unwrap_or_else(|| "a description".to_owned());
    if damaged.defect == Defect::Header {
        return format!(
            "the header of {what} is damaged ({} at byte {}); the index at the end stands for it",
            crate::commands::count(damaged.length, "byte"),
            damaged.offset
        );
    }
    let follows = match kind {
        BlockKind::Schema if trace.schema().interfaces.is_empty() => {
            "; calls have numbers, registers and bytes, but no names"
        }
        BlockKind::Clock
            if trace
                .clock_of(trace.recording_at(damaged.offset))
                .frequency()
                == 0 =>
        {
            "; times are in ticks"
        }
        BlockKind::Clock => "; times may be a little off",
        _ => "",
    };
    let why = if was_lost_before(damaged) {
        LOST_BEFORE.to_owned()
    } else {
        let bytes = crate::commands::count(damaged.length, "byte");
        format!("{bytes} at byte {}: {}", damaged.offset, damaged.defect)
    };
    format!("{what} cannot be read ({why}){follows}")
}

/// Why no call of the trace has a name: its schema is damaged, or lost in a damaged stretch. `None`: they have, or nothing
/// was described on purpose.
pub(crate) fn no_schema(trace: &Trace) -> Option<String> {
    if !trace.lost_descriptions().schema {
        return None;
    }
    let damaged = descriptions(trace).find(|(kind, _)| *kind == BlockKind::Schema);
    if let Some((kind, damaged)) = damaged {
        return Some(description(trace, kind, damaged));
    }
    Some("the schema is missing; calls have numbers, registers and bytes, but no names".to_owned())
}

/// Whether the file was joined from several recordings: indices, and times perhaps, begin again in it.
pub(crate) fn is_joined(trace: &Trace) -> bool {
    trace.recording_at(u64::MAX) != 0
}

/// The recordings of a joined file that have entries, or may have had: not those of which nothing was recorded.
pub(crate) fn used_recordings(trace: &Trace) -> Vec<u32> {
    let blocks = trace.data().map(|block| block.offset);
    let damage = trace.damage().map(|damaged| damaged.offset);
    let used = blocks
        .chain(damage)
        .map(|offset| trace.recording_at(offset));
    used.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The recording of a joined file that is asked for, by those who are of one: `why`.
pub(crate) fn recording(asked: Option<u32>, trace: &Trace, why: &str) -> Result<u32, Failure> {
    let last = trace.recording_at(u64::MAX);
    match asked {
        Some(recording) if recording <= last => Ok(recording),
        None if last == 0 => Ok(0),
        // An empty one leaves no choice.
        None if let [only] = used_recordings(trace).as_slice() => Ok(*only),
        Some(recording) => Err(Failure::usage(
            format!("the file has no recording {recording}"),
            format!("it has recordings 0 to {last}"),
        )),
        None => Err(Failure::usage(
            format!(
                "the file was joined from {} recordings, and {why}",
                u64::from(last).saturating_add(1)
            ),
            format!("choose one with --recording, 0 to {last}"),
        )),
    }
}

/// What is behind a call's place in a joined file, where each recording has one of that name: ` of recording 1`.
pub(crate) fn of_recording(recording: Option<u32>) -> String {
    recording.map_or_else(String::new, |recording| {
        format!(" of recording {recording}")
    })
}

/// A value as JSON with the number of its recording, where there are several.
#[derive(Debug, Serialize)]
pub(crate) struct Of<'v, T> {
    #[serde(flatten)]
    pub(crate) value: &'v T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recording: Option<u32>,
}

/// What is said of a trace without an index at its end. What was made of one whose end is damaged has none either.
pub(crate) const NOT_FINISHED: &str = "the recording was not finished, or the end of its file was lost: what came later is not in the file";

/// What is said of a trace with [damage](Trace::end_is_damaged) where its index would be.
pub(crate) const END_DAMAGED: &str =
    "the end of the file is damaged: whether the recording was finished is not known";

/// What is said of a recording of a joined file without an index at its end that another one follows.
pub(crate) fn without_end(recording: u32) -> String {
    format!(
        "recording {recording} of the file was not finished, or the end of its file was lost: what came later is not in the file"
    )
}

/// The same of one with [damage](Trace::recordings_with_damaged_end) where its index would be.
pub(crate) fn with_damaged_end(recording: u32) -> String {
    format!(
        "the end of recording {recording} of the file is damaged: whether it was finished is not known"
    )
}

/// Refuses a trace whose schema is damaged, for those who judge calls by what they are.
pub(crate) fn described(path: &Path, trace: &Trace) -> Result<(), Failure> {
    no_schema(trace).map_or(Ok(()), |why| {
        Err(Failure::input(
            format!("{}: {why}: nothing can be judged", path.display()),
            "`hcall show` has what can be read, `hcall verify` the damage; use an undamaged copy",
        ))
    })
}

/// What is said of a trace whose entries cannot be put into the order of time.
pub(crate) const NOT_IN_ORDER: &str =
    "it has more lanes than can be put into the order of time, or larger blocks than that";

/// The entries in the order of time, for those who judge calls by what was before them. A trace that cannot be put into that
/// order is refused: what they would say of it would be wrong.
pub(crate) fn in_time<'t>(path: &Path, trace: &'t Trace) -> Result<Merged<'t>, Failure> {
    let merged = trace.merged();
    if merged.in_order() {
        return Ok(merged);
    }
    Err(Failure::input(
        format!("{}: {NOT_IN_ORDER}: nothing can be judged", path.display()),
        "`hcall show --lane` and `hcall show --file-order` have its calls",
    ))
}

/// Whether it is known of any recording how fast its clock is.
pub(crate) fn has_times(trace: &Trace) -> bool {
    trace.clocks().any(|(_, clock)| clock.frequency() != 0)
}

/// The recordings with entries of which nobody knows how fast their clock is.
pub(crate) fn without_clock(trace: &Trace) -> BTreeSet<u32> {
    let of = trace.data().map(|block| trace.recording_at(block.offset));
    let mut last = None;
    // Many blocks are of one recording.
    of.filter(|of| last.replace(*of) != Some(*of))
        .filter(|of| trace.clock_of(*of).frequency() == 0)
        .collect()
}

/// Says of which recordings of a joined file there are no times, where others have some.
pub(crate) fn tell_without_clock(trace: &Trace, what: &str) {
    if is_joined(trace) && has_times(trace) {
        let untimed = without_clock(trace);
        for recording in untimed.iter().take(TOLD) {
            crate::output::tell!(
                "hcall: recording {recording} of the file does not say how fast its clock is: {what}"
            );
        }
        if let more @ 1.. = untimed.len().saturating_sub(TOLD) {
            crate::output::tell!("hcall: and {more} more recordings of it do not");
        }
    }
}

/// The entries, best in the order of time; where they cannot be, it is said on the error output.
pub(crate) fn best_in_time(trace: &Trace) -> Merged<'_> {
    let merged = trace.merged();
    if !merged.in_order() {
        crate::output::tell!("hcall: {NOT_IN_ORDER}: what follows is in the order of the file");
    }
    merged
}

impl Losses {
    /// With what opening saw. Damaged stretches between blocks come again among the entries, so only what is wrong with
    /// descriptions counts here.
    pub(crate) fn of(trace: &Trace) -> Self {
        let mut losses = Self {
            unfinished: trace.ends_early(),
            end_damaged: trace.end_is_damaged(),
            ..Self::default()
        };
        losses.describe(trace);
        losses
    }

    /// Notes how a trace ends that was read as long as it grew.
    pub(crate) fn end(&mut self, trace: &Trace) {
        self.unfinished = trace.ends_early();
        self.end_damaged = trace.end_is_damaged();
    }

    /// Says of which of several traces it is.
    pub(crate) fn named(mut self, path: &Path) -> Self {
        self.whose = Some(crate::format::plain(&path.display().to_string()));
        self
    }

    /// Notes what opening, and reading on, saw.
    pub(crate) fn describe(&mut self, trace: &Trace) {
        for damaged in trace.damage().filter(|damaged| damaged.offset == 0) {
            self.push(damaged);
        }
        self.without_end = trace.recordings_without_end();
        self.with_damaged_end = trace.recordings_with_damaged_end();
        let told = descriptions(trace).take(TOLD);
        self.descriptions = told
            .map(|(kind, damaged)| description(trace, kind, damaged))
            .collect();
        let all = descriptions(trace).count();
        self.more_descriptions = all.saturating_sub(TOLD);
        // They come among the entries as well.
        let cut = descriptions(trace).map(|(_, damaged)| damaged);
        self.cut = cut
            .filter(|damaged| damaged.defect == Defect::Cut)
            .map(|damaged| damaged.offset)
            .collect();
        // Its block's header is damaged as well: the stretch comes among the entries, and does not say what it was.
        if self.descriptions.is_empty() {
            self.descriptions.extend(no_schema(trace));
        }
    }

    /// Notes the damaged stretches between blocks, and blocks of records in wrong places, for those who do not see them among the
    /// entries.
    pub(crate) fn stretches(&mut self, trace: &Trace) {
        let blocks = trace.blocks();
        let between = trace.damage().filter(|damaged| {
            let at = blocks.binary_search_by_key(&damaged.offset, |block| block.offset);
            damaged.offset != 0 && at.is_err()
        });
        for damaged in between {
            self.push(damaged);
        }
        for damaged in trace.damaged_headers() {
            self.push(&damaged);
        }
        for block in trace.data() {
            if let Some(defect) = block.misplaced {
                self.push(&block.damaged(defect));
            }
        }
    }

    fn push(&mut self, damaged: &Damaged) {
        if self.cut.contains(&damaged.offset) {
            return;
        }
        if self.damaged.len() < TOLD {
            self.damaged.push(damaged.clone());
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Notes an entry that is a loss or a damaged stretch.
    pub(crate) fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Damaged(damaged) => self.push(damaged),
            Entry::Lost(lost) => {
                self.lost = self.lost.saturating_add(lost.count);
                self.lost_unknown |= lost.how_many().is_none();
            }
            _ => {}
        }
    }

    /// The same for those who make nothing of a record that they do not know.
    pub(crate) fn note_all(&mut self, entry: &Entry) {
        self.note(entry);
        if let Entry::Unknown(_) = entry {
            self.unknown = self.unknown.saturating_add(1);
        }
    }

    /// Whether parts of the file could not be read.
    pub(crate) const fn any_damage(&self) -> bool {
        !self.damaged.is_empty() || !self.descriptions.is_empty() || self.unknown != 0
    }

    /// Says it on the error output. Whether there was damage.
    pub(crate) fn report(&self, context: &Context) -> bool {
        let whose = self.whose.as_ref();
        let whose = whose.map_or_else(String::new, |path| format!("{path}: "));
        for text in &self.descriptions {
            crate::output::tell!("hcall: {whose}{text}");
        }
        if let more @ 1.. = self.more_descriptions {
            crate::output::tell!("hcall: {whose}and {more} more descriptions; see `hcall verify`");
        }
        for damaged in &self.damaged {
            crate::output::tell!("hcall: {whose}{}", damage(damaged, context));
        }
        if self.more != 0 {
            crate::output::tell!(
                "hcall: {whose}and {} more damaged stretches; see `hcall verify`",
                self.more
            );
        }
        if self.unknown != 0 {
            let (records, are) = crate::commands::count_are(self.unknown, "record");
            crate::output::tell!(
                "hcall: {whose}{records} of a kind that this version does not know {are} left out; use a newer hcall"
            );
        }
        if self.lost != 0 {
            let (calls, are) = crate::commands::count_are(self.lost, "call");
            crate::output::tell!("hcall: {whose}{calls} {are} missing in the trace");
        }
        if self.lost_unknown {
            crate::output::tell!("hcall: {whose}{UNKNOWN_NUMBER} is missing in the trace");
        }
        for recording in self.without_end.iter().take(TOLD) {
            let why = if self.with_damaged_end.contains(recording) {
                with_damaged_end(*recording)
            } else {
                without_end(*recording)
            };
            crate::output::tell!("hcall: {whose}{why}");
        }
        if let more @ 1.. = self.without_end.len().saturating_sub(TOLD) {
            crate::output::tell!("hcall: {whose}and {more} more recordings; see `hcall verify`");
        }
        if self.unfinished {
            let why = if self.end_damaged {
                END_DAMAGED
            } else {
                NOT_FINISHED
            };
            crate::output::tell!("hcall: {whose}{why}; see `hcall verify`");
        }
        self.any_damage()
    }
}
