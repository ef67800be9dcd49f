//! Opens traces, and says on the error output what could not be read of them.

use std::path::Path;

use hypercall_trace::entry::{Damaged, Entry};
use hypercall_trace::read::{Lane, Trace};

use crate::failure::Failure;
use crate::format::{Context, damage};

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
    let Some(last) = named.chain(used).chain(damaged).max() else {
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
    damaged: Vec<Damaged>,
    more: u64,
    lost: u64,
}

impl Losses {
    /// With what opening saw. Damaged stretches between blocks come again among the entries, so only what is wrong with
    /// descriptions counts here.
    pub(crate) fn of(trace: &Trace) -> Self {
        let mut losses = Self::default();
        for damaged in trace.damage() {
            use hypercall_trace::entry::Defect;
            if damaged.defect == Defect::Description || damaged.offset == 0 {
                losses.push(damaged);
            }
        }
        losses
    }

    fn push(&mut self, damaged: &Damaged) {
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
            Entry::Lost(lost) => self.lost = self.lost.saturating_add(lost.count),
            _ => {}
        }
    }

    /// Whether parts of the file could not be read.
    pub(crate) const fn any_damage(&self) -> bool {
        !self.damaged.is_empty()
    }

    /// Says it on the error output. Whether there was damage.
    pub(crate) fn report(&self, context: &Context) -> bool {
        for damaged in &self.damaged {
            crate::output::tell!("hcall: {}", damage(damaged, context));
        }
        if self.more != 0 {
            crate::output::tell!(
                "hcall: and {} more damaged stretches; see `hcall verify`",
                self.more
            );
        }
        if self.lost != 0 {
            let (calls, are) = crate::commands::count_are(self.lost, "call");
            crate::output::tell!("hcall: {calls} {are} missing in the trace");
        }
        self.any_damage()
    }
}
