//! A trace from anywhere: read in every way, in bounded memory. What is read of a damaged one was written; what is called
//! clean is the same after it was written again.
#![no_main]

use arbitrary::Arbitrary;
use hypercall_fuzz::consume::{is_part, nameless, read, really_read};
use hypercall_fuzz::trace::{Edit, base, edited, is_joined, moves_blocks, written};
use hypercall_trace::read::Trace;
use libfuzzer_sys::fuzz_target;

/// The largest block twice, and what is made of an input.
#[global_allocator]
static MEMORY: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, 400 << 20);

#[derive(Arbitrary, Debug)]
enum Input {
    /// Bytes, behind a right beginning or not.
    Bytes { start: bool, bytes: Vec<u8> },
    /// A recording, and what happened to it.
    Edited {
        which: u8,
        sealed: bool,
        edits: Vec<Edit>,
    },
}

fuzz_target!(|input: Input| {
    let (bytes, true_ones) = match input {
        Input::Bytes { start, mut bytes } => {
            if start {
                bytes.splice(0..0, base(0));
            }
            (bytes, None)
        }
        Input::Edited {
            which,
            sealed,
            edits,
        } => {
            let edits = edits.get(..8).unwrap_or(&edits);
            // Checksums that were made right hide what happened, if it was more than that blocks moved.
            let seen = !sealed || edits.iter().all(moves_blocks);
            (
                edited(base(which), edits, sealed),
                seen.then(|| (which, written(which), is_joined(which))),
            )
        }
    };
    let Ok(trace) = Trace::from_bytes(bytes) else {
        return;
    };
    let clean = read(&trace);
    if let Some((which, true_ones, joined)) = true_ones {
        let names = !trace.schema().interfaces.is_empty();
        let as_read = |entry| if names { entry } else { nameless(entry) };
        let written: Vec<_> = true_ones.into_iter().map(as_read).collect();
        let read = really_read(&trace);
        // Nothing tells of which recording a block was that stands in another one now: its calls are true, and that others are
        // missing there is said. The order is that of the file.
        let true_ones = if joined {
            read.iter().all(|entry| written.contains(entry))
        } else {
            is_part(&read, &written)
        };
        assert!(true_ones, "{read:?}");
        // Without one of its recordings as a whole a joined file is one of the others.
        let recordings = Trace::from_bytes(base(which)).map(|base| base.recording_at(u64::MAX));
        let has_all = recordings.ok() == Some(trace.recording_at(u64::MAX))
            && trace.recordings_without_end().is_empty();
        if clean && trace.is_finished() && has_all {
            assert_eq!(
                read.len(),
                written.len(),
                "records are missing, and nothing says so"
            );
        }
    }
});
