//! Answers a call: chooses its record, compares, writes what came out.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::layer::fault::Injector;
use hypercall_core::{Hazard, SharedPage, TransportError};

use super::bind::{Bindings, Seen};
use super::choose::{Chosen, Live, Nothing, choose};
use super::compare::ResultAt;
use super::diverge::{line, report};
use super::failure;
use super::handed::{handed_over, name_pages};
use super::notes::Notes;
use super::options::{FAULTS, Mode, Options};
use super::output;
use super::pages::Wrong;
use super::report::{Cause, Divergence};
use super::run::OfLane;
use super::tape::Tape;
use crate::entry::{Call, Outcome, PageChange, capture};
use crate::schema::Schema;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) schema: Arc<Schema>,
    pub(super) injector: Option<Injector<FAULTS>>,
    pub(super) state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) tapes: Vec<Tape>,
    /// How many calls were made, and looks that found something, in all lanes.
    pub(super) moves: u64,
    pub(super) bindings: Bindings,
    pub(super) skipped: Vec<OfLane>,
    /// What every call is answered with since the program left the trace.
    pub(super) poison: Option<(Box<Divergence>, TransportError)>,
}

impl State {
    pub(super) fn find(&self, lane: &str) -> Option<usize> {
        self.tapes.iter().position(|tape| tape.name == lane)
    }

    pub(super) fn bind_page(&mut self, lane: usize, number: u32, live: &'static SharedPage) {
        let mut elsewhere = false;
        for (other, tape) in self.tapes.iter_mut().enumerate() {
            elsewhere |= other != lane && tape.pages.share(live);
        }
        if let Some(tape) = self.tapes.get_mut(lane) {
            tape.pages.bind(number, live);
            if elsewhere {
                tape.pages.share(live);
            }
        }
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of another thread cannot leave the state half changed: nothing in here calls out.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn call(
        &self,
        lane: &str,
        info: &'static CallInfo,
        args: [Arg<'_>; 2],
    ) -> Result<i64, TransportError> {
        // Whoever left the trace is told so, whatever is to be injected.
        if let Some((_, error)) = &self.lock().poison {
            return Err(*error);
        }
        match &self.injector {
            Some(injector) => injector.call(info, args, std::thread::sleep, |args| {
                self.answer(lane, info, args)
            }),
            None => self.answer(lane, info, args),
        }
    }

    fn answer(
        &self,
        lane: &str,
        info: &'static CallInfo,
        mut args: [Arg<'_>; 2],
    ) -> Result<i64, TransportError> {
        let mut state = self.lock();
        let state = &mut *state;
        if let Some((_, error)) = &state.poison {
            return Err(*error);
        }
        let described = self.schema.calls().find(|call| call.is(info)).cloned();
        let mut live = Live {
            call: Call {
                lane: 0,
                index: 0,
                schema: described,
                number: info.number,
                args: capture(&args),
                enter: 0,
                duration: None,
                outcome: Outcome::Unfinished,
            },
            result: ResultAt::of(info),
        };
        let Some(at_lane) = state.find(lane) else {
            let lanes = state.tapes.iter().map(|tape| tape.name.clone()).collect();
            return Err(self.stop(state, None, lane, &live, Cause::NoLane { lanes }));
        };
        state.moved();
        let chosen = match state.tapes.get_mut(at_lane) {
            Some(tape) => {
                live.call.index = tape.made;
                tape.made = tape.made.saturating_add(1);
                name_pages(&mut live.call, &args, tape);
                choose(&self.options, &state.bindings, tape, &live)
            }
            None => Err(Nothing::because(Cause::End)),
        };
        match chosen {
            Ok(chosen) => self.use_record(state, at_lane, chosen, &live, &mut args),
            Err(mut nothing) => {
                if live.schema.is_none()
                    && let Some(what) = self.other_number(info)
                {
                    nothing.cause = Cause::OtherInterface { what };
                }
                Err(self.diverge(state, Some(at_lane), lane, &live, nothing))
            }
        }
    }

    /// Whether what a page holds is known: calls are made in the order of the trace.
    pub(super) fn checks_pages(&self, tape: &Tape) -> bool {
        self.options.mode == Mode::Strict && !self.options.unchecked_pages && !tape.pool
    }

    /// Writes what was noted next between two calls, whichever look of the program's found it.
    pub(super) fn note(&self, tape: &mut Tape) -> bool {
        match tape.next_notes().and_then(Notes::next) {
            Some(changes) => {
                self.show(tape, &changes);
                true
            }
            None => false,
        }
    }

    pub(super) fn show(&self, tape: &mut Tape, changes: &[PageChange]) {
        if self.checks_pages(tape) {
            tape.pages.show(changes);
        } else {
            tape.pages.write(changes);
        }
    }

    /// A call that the trace knows by name under another number.
    fn other_number(&self, info: &CallInfo) -> Option<String> {
        let there = self.schema.find(Some(info.interface), info.name)?;
        let (name, here) = (info.name, info.number);
        Some(format!(
            "{name} is {:#x} in the trace and {here:#x} in the program",
            there.number
        ))
    }

    fn stop(
        &self,
        state: &mut State,
        at_lane: Option<usize>,
        lane: &str,
        live: &Live,
        cause: Cause,
    ) -> TransportError {
        let nothing = Nothing::because(cause);
        self.diverge(state, at_lane, lane, live, nothing)
    }

    fn diverge(
        &self,
        state: &mut State,
        at_lane: Option<usize>,
        lane: &str,
        live: &Live,
        nothing: Nothing,
    ) -> TransportError {
        let State {
            tapes, bindings, ..
        } = state;
        let mut divergence = report(&self.options, bindings, tapes, at_lane, live, nothing);
        lane.clone_into(&mut divergence.lane);
        Self::poison(state, divergence)
    }

    /// From here on every call, and every look, is answered with this.
    pub(super) fn poison(state: &mut State, divergence: Divergence) -> TransportError {
        let error = match divergence.cause {
            Cause::Unfinished => TransportError::Dead(Hazard::Hung(
                "the recording ends inside this call: it never returned",
            )),
            _ => TransportError::Unexpected(failure::keep(
                &divergence.summary(),
                "replay diverged; the replayer's report says where",
            )),
        };
        state.poison = Some((Box::new(divergence), error));
        error
    }

    /// Answers a call from a record.
    fn use_record(
        &self,
        state: &mut State,
        at_lane: usize,
        chosen: Chosen,
        live: &Live,
        args: &mut [Arg<'_>; 2],
    ) -> Result<i64, TransportError> {
        let Chosen { at, ties } = chosen;
        if self.options.mode == Mode::Loose {
            skip(state, at_lane, at);
        }
        let State {
            tapes, bindings, ..
        } = &mut *state;
        let Some(tape) = tapes.get_mut(at_lane) else {
            return Err(TransportError::Unexpected("the replay has no such lane"));
        };
        let name = tape.name.clone();
        let Some((mut call, enter)) = tape.record_mut(at).map(|record| {
            let mut enter = Vec::new();
            while let Some(changes) = record.notes.next() {
                enter.extend(changes);
            }
            enter.append(&mut record.enter);
            // Out of order, nobody knows what a page should hold.
            (record.call.clone(), (enter, record.group.is_none()))
        }) else {
            return Err(TransportError::Unexpected("the replay has no such record"));
        };
        let (enter, in_order) = enter;
        if in_order && self.checks_pages(tape) {
            if let Err(Wrong { page, differences }) = tape.pages.meet(&enter) {
                let nothing = Nothing {
                    cause: Cause::Page { page },
                    differences,
                };
                return Err(self.diverge(state, Some(at_lane), &name, live, nothing));
            }
        } else {
            tape.pages.write(&enter);
        }
        let seen = Seen {
            lane: name.clone(),
            index: call.index,
        };
        ties.iter().for_each(|tie| bindings.tie(tie, &seen));
        if call.outcome == Outcome::Unfinished {
            return Err(self.stop(state, Some(at_lane), &name, live, Cause::Unfinished));
        }
        for (page, live) in handed_over(&call, args) {
            state.bind_page(at_lane, page, live);
        }
        if let Some(result) = live.result {
            result.came_out(&mut call);
        }
        output::write(&call, args, &mut state.bindings, &seen);
        if let Some(tape) = state.tapes.get_mut(at_lane) {
            tape.used.push(at);
            tape.left.remove(&at);
            let made = live.index;
            let exit = tape.record_mut(at).map(|record| {
                record.used = Some(made);
                core::mem::take(&mut record.exit)
            });
            tape.pages.write(&exit.unwrap_or_default());
            tape.advance();
            if self.options.pages_ahead && self.note(tape) {
                tape.ahead = Some(tape.head);
            }
        }
        match call.outcome {
            Outcome::Returned(rax) => {
                let space = state.bindings.given_in_rax(call.schema.as_deref());
                Ok(match (space, u64::try_from(rax)) {
                    (Some(space), Ok(name)) => {
                        let live = state
                            .bindings
                            .hand_out(&space, name, size_of::<u64>(), &seen);
                        live.cast_signed()
                    }
                    _ => rax,
                })
            }
            Outcome::Failed(failed) => Err(failure::give(&failed)),
            Outcome::Unfinished => Err(TransportError::Lost("the recorded call never returned")),
        }
    }
}

/// Passes over the records before one: what they did to the pages is done.
fn skip(state: &mut State, at_lane: usize, before: usize) {
    let Some(tape) = state.tapes.get_mut(at_lane).filter(|tape| !tape.pool) else {
        return;
    };
    for at in tape.head..before {
        tape.left.remove(&at);
        let passed = tape
            .record_mut(at)
            .filter(|record| record.is_open())
            .map(|record| {
                record.skipped = true;
                let mut changes = Vec::new();
                while let Some(seen) = record.notes.next() {
                    changes.extend(seen);
                }
                changes.append(&mut record.enter);
                changes.append(&mut record.exit);
                (line(record), changes)
            });
        if let Some((line, changes)) = passed {
            tape.pages.write(&changes);
            state.skipped.push(OfLane {
                lane: tape.name.clone(),
                line,
            });
        }
    }
}
