//! A transport that stays in the middle of a call until a test lets it go.

use std::sync::{Arc, Condvar, Mutex};

use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::CallInfo;
use hypercall_core::{Transport, TransportError};

/// What a slow transport has done, and may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Calls that began.
    pub entered: usize,
    /// Calls that may return.
    pub released: usize,
    /// Calls that returned.
    pub left: usize,
    /// Calls that found their block, when they went on, as they had left it.
    pub intact: usize,
    /// The most calls that were in the transport at once.
    pub most: usize,
}

/// Fills the first half of the memory that it may write, waits to be released, and fills the second.
#[derive(Clone, Default)]
pub struct Slow(Arc<(Mutex<State>, Condvar)>);

pub const FIRST: u8 = 0xa1;
pub const SECOND: u8 = 0xb2;

impl Slow {
    pub fn state(&self) -> State {
        *self.0.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut State)) -> State {
        let mut state = self.0.0.lock().unwrap();
        change(&mut state);
        self.0.1.notify_all();
        *state
    }

    fn wait(&self, until: impl Fn(&State) -> bool) {
        drop(
            self.0
                .1
                .wait_while(self.0.0.lock().unwrap(), |state| !until(state))
                .unwrap(),
        );
    }

    /// Lets this many more calls return.
    pub fn release(&self, calls: usize) {
        self.change(|state| state.released += calls);
    }

    /// Blocks until this many calls have begun.
    pub fn wait_entered(&self, calls: usize) {
        self.wait(|state| state.entered >= calls);
    }
}

impl Transport for Slow {
    fn call<'a>(
        &self,
        _: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        for bytes in args.iter_mut().filter_map(output) {
            let half = bytes.len() / 2;
            bytes[..half].fill(FIRST);
        }
        let state = self.change(|state| {
            state.entered += 1;
            state.most = state.most.max(state.entered - state.left);
        });
        self.wait(|now| now.released >= state.entered);
        let mut intact = true;
        for bytes in args.iter_mut().filter_map(output) {
            let half = bytes.len() / 2;
            intact &= bytes[..half].iter().all(|byte| *byte == FIRST);
            bytes[half..].fill(SECOND);
        }
        self.change(|state| {
            state.left += 1;
            state.intact += usize::from(intact);
        });
        Ok(0)
    }
}

fn output<'a>(arg: &'a mut Arg<'_>) -> Option<&'a mut [u8]> {
    match arg {
        Arg::Write(bytes) | Arg::ReadWrite(bytes) => Some(bytes),
        Arg::Linked(Linked {
            target: Target::ReadWrite(bytes),
            ..
        }) => Some(bytes),
        _ => None,
    }
}
