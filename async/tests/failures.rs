//! What a task gets when there is no answer: panics, a runtime that shuts down, no runtime.

mod common;

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::plotter::{AsyncPlotter, Point, Ticket};
use common::poll::Polled;
use common::slow::Slow;
use hypercall_async::Offload;
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, ErrorKind, Transport, TransportError};
use tokio::runtime::Builder;

const POINT: Point = Point { x: 1, y: 2 };
const TICKET: Ticket = Ticket { id: 3, weight: 4 };

/// Panics on `lift`, answers everything else.
struct Fragile;

impl Transport for Fragile {
    fn call<'a>(&self, info: &'static CallInfo, _: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        assert_ne!(info.name, "lift", "it fell");
        Ok(0)
    }
}

#[test]
fn a_panic_goes_on_in_the_task_that_waits_and_frees_the_slot() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let plotter = Offload::new(Client::new(Fragile), NonZeroUsize::MIN);
    let panic = catch_unwind(AssertUnwindSafe(|| runtime.block_on(plotter.lift(1)))).unwrap_err();
    assert!(
        panic
            .downcast_ref::<String>()
            .is_some_and(|text| text.contains("it fell"))
    );
    assert_eq!(plotter.in_flight(), 0);
    assert_eq!(runtime.block_on(plotter.reset()), Ok(()));
}

#[test]
fn a_panic_that_nobody_waits_for_frees_the_slot_too() {
    let runtime = Builder::new_current_thread().build().unwrap();
    let _inside = runtime.enter();
    let plotter = Offload::new(Client::new(Fragile), NonZeroUsize::MIN);
    let mut call = Polled::new(plotter.lift(1));
    let _ = call.poll();
    drop(call);
    assert_eq!(Polled::new(plotter.reset()).finish(), Ok(()));
}

#[test]
fn a_runtime_that_shuts_down_gives_the_values_back_and_invents_no_answer() {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let handle = runtime.handle().clone();
    let _inside = handle.enter();
    let slow = Slow::default();
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::new(2).unwrap());
    // One is being made, one has its slot and waits for the thread, two wait for a slot.
    let mut begun = Polled::new(plotter.mirror(POINT));
    assert!(begun.poll().is_pending());
    slow.wait_entered(1);
    let mut queued = Polled::new(plotter.mirror(POINT));
    assert!(queued.poll().is_pending());
    let mut block = Polled::new(plotter.exchange(POINT, TICKET));
    let mut values = Polled::new(plotter.add(5, 6));
    assert!(block.poll().is_pending() && values.poll().is_pending());
    runtime.shutdown_background();
    slow.release(2);

    // What has begun is not lost.
    let (result, point) = begun.finish();
    assert_eq!(result, Ok(()));
    assert_ne!(point, POINT);
    // Whether tokio still begins what waits for a thread is its affair: either it is made, or nothing is.
    let (result, point) = queued.finish();
    let made = slow.state().entered == 2;
    assert_eq!((result.is_ok(), point == POINT), (made, !made));
    // Others are not made.
    let (result, point, ticket) = block.finish();
    let error = result.unwrap_err();
    assert!(!error.may_have_run(), "{error}");
    assert_eq!(
        error.to_string(),
        "exchange(left=…, right=…) was not issued: the tokio runtime shut down before it was made"
    );
    assert_eq!((point, ticket), (POINT, TICKET));
    let error = values.finish().unwrap_err();
    assert!(matches!(
        error.kind,
        ErrorKind::Transport(TransportError::Unsupported(_))
    ));
    assert_eq!(
        error.args,
        [5, 6],
        "the error shows the values that it was called with"
    );
    assert_eq!(
        (slow.state().entered, plotter.in_flight()),
        (1 + usize::from(made), 0)
    );
}

#[test]
fn outside_of_a_runtime_there_is_a_typed_error() {
    let plotter = Offload::new(Client::new(Fragile), NonZeroUsize::MIN);
    let (result, point) = Polled::new(plotter.mirror(POINT)).finish();
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "mirror(point=…) was not issued: there is no tokio runtime to make it on"
    );
    assert_eq!(point, POINT);
    // Registers are as the client would have set them: here with the bits that select the method.
    let error = Polled::new(plotter.ink(0x42)).finish().unwrap_err();
    assert_eq!(error.args, [0x142, 0]);
    assert_eq!(plotter.in_flight(), 0);
}
