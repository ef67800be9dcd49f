//! How many calls are in flight at once, and in which order they are made.

mod common;

use std::num::NonZeroUsize;
use std::sync::Mutex;

use common::plotter::AsyncPlotter;
use common::poll::Polled;
use common::slow::Slow;
use hypercall_async::Offload;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Transport, TransportError};
use tokio::runtime::Builder;

#[test]
fn the_bound_is_reached_and_never_exceeded() {
    for bound in [1, 2, 5] {
        let runtime = Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let slow = Slow::default();
        let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::new(bound).unwrap());
        // Clones share the bound.
        let clones = [plotter.clone(), plotter.clone()];
        let mut calls: Vec<_> = clones
            .iter()
            .cycle()
            .take(3 * bound)
            .map(|clone| Polled::new(clone.reset()))
            .collect();
        for (number, call) in calls.iter_mut().enumerate() {
            assert!(call.poll().is_pending());
            assert_eq!(plotter.in_flight(), bound.min(number + 1));
        }
        slow.wait_entered(bound);
        // Each that returns lets one more begin.
        for done in 1..=2 * bound {
            slow.release(1);
            let next = &mut calls[bound + done - 1];
            next.wait();
            assert!(next.poll().is_pending());
            slow.wait_entered(bound + done);
            assert_eq!(
                (slow.state().entered, slow.state().left),
                (bound + done, done)
            );
            assert_eq!(plotter.in_flight(), bound);
        }
        slow.release(bound);
        for call in calls {
            assert_eq!(call.finish(), Ok(()));
        }
        assert_eq!(
            (slow.state().most, slow.state().entered),
            (bound, 3 * bound)
        );
        assert_eq!(plotter.in_flight(), 0);
    }
}

#[test]
fn waiting_calls_occupy_no_thread() {
    // Two threads: one is in the call of the first adapter, and those that wait for its slot must not have the other.
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(2)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    let (slow, free) = (Slow::default(), Slow::default());
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::MIN);
    let other = Offload::new(Client::new(free.clone()), NonZeroUsize::MIN);
    let mut calls: Vec<_> = (0..10).map(|_| Polled::new(plotter.reset())).collect();
    for call in &mut calls {
        assert!(call.poll().is_pending());
    }
    free.release(1);
    assert_eq!(Polled::new(other.reset()).finish(), Ok(()));
    slow.release(10);
    for call in calls {
        assert_eq!(call.finish(), Ok(()));
    }
}

#[test]
fn any_number_is_a_bound() {
    let slow = Slow::default();
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::MAX);
    assert!(plotter.bound().get() >= (1 << 29) - 1);
    assert_eq!(plotter.in_flight(), 0);
    let runtime = Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    slow.release(1);
    assert_eq!(Polled::new(plotter.reset()).finish(), Ok(()));
    Polled::new(plotter.idle()).finish();
}

/// Writes down which calls came, in order.
#[derive(Default)]
struct Diary(Mutex<Vec<u64>>);

impl Transport for Diary {
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        self.0.lock().unwrap().push(args[0].value());
        Ok(0)
    }
}

#[test]
fn with_a_bound_of_one_calls_are_made_in_the_order_in_which_they_were_first_polled() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let plotter = Offload::new(Client::new(Diary::default()), NonZeroUsize::MIN);
    let mut calls: Vec<_> = (0..20)
        .map(|number| Polled::new(plotter.lift(number)))
        .collect();
    // Made in one order, polled in another.
    calls.rotate_left(7);
    calls.retain_mut(|call| call.poll().is_pending());
    for call in calls {
        assert_eq!(call.finish(), Ok(()));
    }
    let diary = plotter
        .implementation()
        .transport()
        .0
        .lock()
        .unwrap()
        .clone();
    assert_eq!(diary, (7..20).chain(0..7).collect::<Vec<_>>());
}
