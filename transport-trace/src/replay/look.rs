//! A program looks at its shared pages between two calls.
//!
//! A replayer cannot see a program read memory. It sees looks, where the program says that it looks, and so it can tell when one
//! waits for what the trace does not have: by how often it looked, never by how long.

use hypercall_core::TransportError;

use super::answer::Shared;
use super::diverge::at_a_look;
use super::notes::{Found, Notes};
use super::report::Cause;
use super::tape::Tape;

/// Looks that may find nothing, unless the options say otherwise. A program that polls without a pause makes them in less than a
/// second.
const EMPTY_LOOKS: u64 = 1 << 20;

impl Shared {
    /// A look of the program's.
    pub(super) fn note_pages(&self, lane: &str) -> Result<(), TransportError> {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some((_, error)) = &state.poison {
            return Err(*error);
        }
        let at_lane = state.find(lane);
        let cause = match at_lane.and_then(|at_lane| state.tapes.get_mut(at_lane)) {
            None => Cause::NoLane {
                lanes: state.tapes.iter().map(|tape| tape.name.clone()).collect(),
            },
            Some(tape) => {
                tape.advance();
                // The first look finds what was written ahead.
                if tape.ahead.take() == Some(tape.head) || self.look(tape) {
                    tape.idle = 0;
                    return Ok(());
                }
                if tape.idle < self.options.empty_looks.unwrap_or(EMPTY_LOOKS) {
                    tape.idle = tape.idle.saturating_add(1);
                    return Ok(());
                }
                Cause::Waits { looks: tape.idle }
            }
        };
        let tape = at_lane.and_then(|at_lane| state.tapes.get(at_lane));
        let divergence = at_a_look(tape, lane, cause);
        Err(Self::poison(state, divergence))
    }

    /// The program finds what the recorded one found at its look of the same number. Whether it finds something, or will before
    /// the next call.
    fn look(&self, tape: &mut Tape) -> bool {
        if self.options.first_look {
            return self.note(tape);
        }
        match tape.next_notes().and_then(Notes::look) {
            Some(Found::Changes(changes)) => self.show(tape, &changes),
            // What the pages hold is known here as well.
            Some(Found::Nothing) => self.show(tape, &[]),
            None => return false,
        }
        true
    }
}
