//! The recordings of a joined trace, each for itself: names, addresses and numbers of pages of one mean nothing in another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::error::ReplayError;
use super::recorded::Recorded;
use crate::entry::Entry;
use crate::read::Trace;

impl Recorded {
    /// How many recordings it was [joined](Self::joined) from, those without entries included: 1 where it was not.
    #[must_use]
    pub fn recordings(&self) -> u32 {
        u32::try_from(self.joined.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1)
    }

    /// The recordings that have entries, each with its number, and for itself: with its own entries, and the lanes that they are of.
    ///
    /// ```
    /// # use hypercall_trace::replay::{Recorded, Replayer};
    /// # fn field_trace() -> Recorded { Recorded::default() }
    /// for (number, recording) in field_trace().into_recordings() {
    ///     let replayer = Replayer::options().recorded(recording)?;
    ///     println!("recording {number}: {:?}", replayer.lanes());
    /// }
    /// # Ok::<(), hypercall_trace::replay::ReplayError>(())
    /// ```
    pub fn into_recordings(self) -> impl Iterator<Item = (u32, Self)> {
        let parts: Vec<_> = self.parts().filter(|(_, part)| !part.is_empty()).collect();
        let Self {
            schema,
            lanes,
            entries,
            ..
        } = self;
        let mut entries = entries.into_iter();
        let mut places: BTreeMap<u32, usize> = BTreeMap::new();
        for (place, lane) in lanes.iter().enumerate() {
            places.entry(lane.id).or_insert(place);
        }
        parts.into_iter().map(move |(number, part)| {
            let entries: Vec<_> = entries.by_ref().take(part.len()).collect();
            let of = entries.iter().filter_map(Entry::lane);
            let of: BTreeSet<_> = of.filter_map(|lane| places.get(&lane).copied()).collect();
            let part = Self {
                schema: Arc::clone(&schema),
                lanes: of
                    .into_iter()
                    .filter_map(|place| lanes.get(place).cloned())
                    .collect(),
                entries,
                joined: Vec::new(),
            };
            (number, part)
        })
    }

    /// Where in the entries each recording stands, those without entries included.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        let all = self.entries.len();
        let mut from: usize = 0;
        let ends = self.joined.iter().copied().chain([all]);
        (0..).zip(ends).map(move |(number, end)| {
            // From the least to the greatest, or it is no trace; the ranges follow each other all the same.
            let to = end.min(all).max(from);
            (number, std::mem::replace(&mut from, to)..to)
        })
    }

    /// The recording that is meant, by itself: see [`chosen`].
    pub(crate) fn one(self, asked: Option<u32>) -> Result<Self, NotOne> {
        let used = self.parts().filter(|(_, part)| !part.is_empty());
        let number = chosen(asked, used.map(|(number, _)| number), self.recordings())?;
        if self.joined.is_empty() {
            return Ok(self);
        }
        let part = self.parts().find(|(of, _)| *of == number);
        let part = part.map(|(_, part)| part).unwrap_or_default();
        let entries = self.entries.into_iter();
        Ok(Self {
            entries: entries.skip(part.start).take(part.len()).collect(),
            joined: Vec::new(),
            ..self
        })
    }
}

/// Why nobody knows which recording is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NotOne {
    /// Several have entries, and none is asked for.
    Joined { recordings: u32 },
    /// The one that is asked for is not there.
    NoRecording { asked: u32, recordings: u32 },
}

impl From<NotOne> for ReplayError {
    fn from(error: NotOne) -> Self {
        match error {
            NotOne::Joined { recordings } => Self::Joined { recordings },
            NotOne::NoRecording { asked, recordings } => Self::NoRecording { asked, recordings },
        }
    }
}

/// The recording of an opened trace that is meant: see [`chosen`].
pub(super) fn of_trace(trace: &Trace, asked: Option<u32>) -> Result<u32, NotOne> {
    let last = trace.recording_at(u64::MAX);
    let blocks = trace.data().map(|block| block.section);
    // The file's own header held no entries.
    let gaps = trace.gaps().iter().filter(|gap| gap.offset != 0);
    let used = blocks.chain(gaps.map(|gap| trace.recording_at(gap.offset)));
    chosen(asked, used, last.saturating_add(1))
}

/// The one of so many recordings that is meant: what is asked for, else the only one with entries.
fn chosen(
    asked: Option<u32>,
    mut used: impl Iterator<Item = u32>,
    recordings: u32,
) -> Result<u32, NotOne> {
    match asked {
        Some(asked) if asked < recordings => return Ok(asked),
        Some(asked) => return Err(NotOne::NoRecording { asked, recordings }),
        None => {}
    }
    // Where none has any, there is nothing to choose.
    let only = used.next().unwrap_or(0);
    if used.any(|of| of != only) {
        return Err(NotOne::Joined { recordings });
    }
    Ok(only)
}
