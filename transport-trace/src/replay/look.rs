//! A program looks at its shared pages between two calls.
//!
//! A replayer cannot see a program read memory. It sees looks, where the program says that it looks, and so it can tell when one
//! waits for what the trace does not have: by how often it looked while no lane went on, and not as long as another lane has calls
//! to come.

use std::time::Duration;

use hypercall_core::TransportError;

use super::answer::{Shared, State};
use super::diverge::at_a_look;
use super::notes::{Found, Notes};
use super::report::Cause;
use super::tape::Tape;

/// Looks that may find nothing, unless the options say otherwise.
const EMPTY_LOOKS: u64 = 1 << 20;
/// Of these, those that are made at full speed.
const FAST_LOOKS: u64 = 1 << 12;
/// How long each of the others takes at the least: whoever shall end the waiting gets time, on a busy machine as well. All of them
/// take a minute or more.
const PAUSE: Duration = Duration::from_micros(50);

impl Shared {
    /// A look of the program's.
    pub(super) fn note_pages(&self, lane: &str) -> Result<(), TransportError> {
        if self.one_look(lane)? {
            std::thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// Whether whoever looks should pause.
    fn one_look(&self, lane: &str) -> Result<bool, TransportError> {
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
                    state.moved();
                    return Ok(false);
                }
                let looks = tape.idle(state.moves);
                let (limit, slow) = match self.options.empty_looks {
                    Some(limit) => (limit, false),
                    None => (EMPTY_LOOKS, looks >= FAST_LOOKS),
                };
                // How fast another thread is must not decide how a replay ends: these looks do not count.
                if slow && state.more_may_come(at_lane) {
                    return Ok(false);
                }
                if looks < limit {
                    state.idle(at_lane, looks.saturating_add(1));
                    return Ok(slow);
                }
                // What it waits for may be among the calls that are missing, or have come with one of them.
                let loss = tape_loss(state, at_lane);
                loss.unwrap_or(Cause::Waits { looks })
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

/// Why a lane has nothing more to show, where calls are missing next.
fn tape_loss(state: &State, lane: Option<usize>) -> Option<Cause> {
    let tape = state.tapes.get(lane?)?;
    tape.items.get(tape.head)?.loss()
}

impl State {
    /// A lane made a call, or a look found something: whoever waits may be waiting for what comes of it.
    pub(super) const fn moved(&mut self) {
        self.moves = self.moves.saturating_add(1);
    }

    fn idle(&mut self, lane: Option<usize>, looks: u64) {
        if let Some(tape) = lane.and_then(|lane| self.tapes.get_mut(lane)) {
            tape.idle = (self.moves, looks);
        }
    }

    /// Whether a lane of the program's other than this one has calls to come, and does not wait itself. In a pool the calls to come
    /// may be another thread's.
    fn more_may_come(&mut self, than: Option<usize>) -> bool {
        let moves = self.moves;
        self.tapes.iter_mut().enumerate().any(|(at, tape)| {
            let other = Some(at) != than && tape.taken && tape.idle(moves) < FAST_LOOKS;
            tape.advance();
            (other || tape.pool && Some(at) == than) && tape.record(tape.head).is_some()
        })
    }
}

#[cfg(test)]
mod tests {

    use super::EMPTY_LOOKS;
    use crate::entry::{Call, Entry, Outcome};
    use crate::read::Lane;
    use crate::replay::{Cause, Recorded, Replayer};

    /// The state that the looks before would leave, which take a minute, is made by hand.
    #[test]
    fn whoever_waits_is_told_when_all_lanes_wait_or_are_at_their_ends() {
        let call = |lane| {
            Entry::Call(Call {
                lane,
                index: 0,
                schema: None,
                number: 7,
                args: Default::default(),
                enter: 0,
                duration: None,
                outcome: Outcome::Returned(0),
            })
        };
        let lane = |id, name: &str| Lane {
            id,
            name: name.to_owned(),
        };
        let recorded = Recorded {
            lanes: vec![lane(0, "main"), lane(1, "model")],
            entries: vec![call(0), call(1)],
            ..Recorded::default()
        };
        let replay = |taken: bool| {
            let replayer = Replayer::options().recorded(recorded.clone()).unwrap();
            let model = replayer.lane("model");
            if taken {
                let _ = replayer.lane("main");
            }
            (replayer, model)
        };
        let wait = |replayer: &Replayer, at: usize, looks| {
            replayer.shared.lock().idle(Some(at), looks);
        };

        // The last of the looks, and the one behind it.
        let (replayer, model) = replay(false);
        wait(&replayer, 1, EMPTY_LOOKS - 1);
        model.note_pages().unwrap();
        assert!(replayer.divergence().is_none());
        model.note_pages().unwrap_err();
        let looks = EMPTY_LOOKS;
        assert_eq!(replayer.divergence().unwrap().cause, Cause::Waits { looks });

        // The other lane of the program has a call to come.
        let (replayer, model) = replay(true);
        wait(&replayer, 1, EMPTY_LOOKS);
        (0..9).for_each(|_| model.note_pages().unwrap());
        // Until it waits as well.
        wait(&replayer, 0, EMPTY_LOOKS);
        model.note_pages().unwrap_err();
        assert_eq!(replayer.divergence().unwrap().cause, Cause::Waits { looks });

        // What moved since is no waiting.
        let (replayer, model) = replay(false);
        wait(&replayer, 1, EMPTY_LOOKS);
        replayer.shared.lock().moved();
        model.note_pages().unwrap();
        assert!(replayer.divergence().is_none());
    }
}
