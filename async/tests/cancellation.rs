//! Futures that are dropped at every point at which they wait, while the transport is in the middle of the call.

mod common;

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use common::plotter::{AsyncPlotter, Point, Ticket};
use common::poll::Polled;
use common::slow::{FIRST, SECOND, Slow};
use hypercall_async::Offload;
use hypercall_core::Client;
use tokio::runtime::{Builder, Runtime};

type Slowly = Offload<Client<Slow>>;
type Call = for<'o> fn(&'o Slowly) -> Pin<Box<dyn Future<Output = Vec<u8>> + Send + 'o>>;

/// A call for each way in which a hypervisor gets memory to write. Returns the bytes as it left them.
const WRITES: [(&str, Call); 6] = [
    ("a block", |plotter| {
        Box::pin(async {
            let (_, Point { x, y }) = plotter.mirror(Point { x: 1, y: 2 }).await;
            [x.to_le_bytes(), y.to_le_bytes()].concat()
        })
    }),
    ("a block that yields", |plotter| {
        Box::pin(async {
            let (_, Ticket { id, weight }) = plotter.enqueue(Ticket { id: 1, weight: 2 }).await;
            [id.to_le_bytes(), weight.to_le_bytes()].concat()
        })
    }),
    ("a returned block", |plotter| {
        Box::pin(async {
            let Point { x, y } = plotter.position().await.unwrap();
            [x.to_le_bytes(), y.to_le_bytes()].concat()
        })
    }),
    ("an array", |plotter| {
        Box::pin(async {
            let (_, points) = plotter.transpose(7, vec![Point { x: 1, y: 2 }; 4]).await;
            points
                .iter()
                .flat_map(|point| [point.x, point.y])
                .flat_map(u32::to_le_bytes)
                .collect()
        })
    }),
    ("bytes", |plotter| {
        Box::pin(async { plotter.firmware(0, vec![0; 5000]).await.1 })
    }),
    ("two blocks", |plotter| {
        Box::pin(async {
            let (_, point, ticket) = plotter
                .exchange(Point { x: 1, y: 2 }, Ticket { id: 3, weight: 4 })
                .await;
            assert_eq!(point.y.to_le_bytes(), [SECOND; 4]);
            [ticket.id.to_le_bytes(), ticket.weight.to_le_bytes()].concat()
        })
    }),
];

fn runtime() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Lets a future come to its end, dropping it after `polls` polls. Returns whether it had ended by then.
///
/// A call before it has the only slot, so that it waits at both points at which it can.
fn dropped_after(polls: usize, name: &str, call: Call) -> bool {
    let runtime = runtime();
    let _inside = runtime.enter();
    let slow = Slow::default();
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::MIN);
    let mut before = Polled::new(plotter.reset());
    assert!(before.poll().is_pending());
    slow.wait_entered(1);

    let mut future = Polled::new(call(&plotter));
    let mut ended = false;
    for poll in 1..=polls {
        match future.poll() {
            Poll::Pending if poll == 1 => {
                assert!(!future.was_woken(), "{name}: it waits for the slot");
                slow.release(1);
                future.wait();
            }
            Poll::Pending => {
                // In the transport, with half of the memory written. Who drops it now leaves it there.
                slow.wait_entered(poll);
                if poll < polls {
                    slow.release(1);
                    future.wait();
                }
            }
            Poll::Ready(bytes) => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                assert!(
                    first.iter().all(|byte| *byte == FIRST),
                    "{name}: {bytes:x?}"
                );
                assert!(
                    second.iter().all(|byte| *byte == SECOND),
                    "{name}: {bytes:x?}"
                );
                ended = true;
            }
        }
    }
    drop(future);

    // A slot is taken exactly as long as a call that began has not returned.
    assert_eq!(
        plotter.in_flight(),
        slow.state().entered - slow.state().left
    );
    let mut after = Polled::new(plotter.lift(1));
    assert!(after.poll().is_pending());
    if polls == 2 {
        assert!(
            !after.was_woken(),
            "{name}: the slot is still that of the dropped call"
        );
        assert_eq!(
            slow.state().entered,
            2,
            "{name}: the next call has not begun"
        );
    }
    slow.release(3);
    assert_eq!(before.finish(), Ok(()));
    assert_eq!(after.finish(), Ok(()));
    runtime.block_on(plotter.idle());

    let state = slow.state();
    let made = 2 + usize::from(polls >= 2);
    assert_eq!(
        (state.entered, state.left, state.most),
        (made, made, 1),
        "{name}, {polls} polls"
    );
    assert_eq!(
        state.intact, made,
        "{name}, {polls} polls: nobody else had the memory"
    );
    ended
}

#[test]
fn a_future_that_is_dropped_anywhere_leaves_the_transport_its_memory_and_its_slot() {
    for (name, call) in WRITES {
        let points = (0..).find(|polls| dropped_after(*polls, name, call));
        assert_eq!(
            points,
            Some(3),
            "{name}: waits for the slot, waits for the answer, ends"
        );
    }
}

#[test]
fn a_future_that_was_given_the_slot_and_is_dropped_before_it_noticed_passes_it_on() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let slow = Slow::default();
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::MIN);
    let mut first = Polled::new(plotter.reset());
    let mut second = Polled::new(plotter.mirror(Point { x: 1, y: 2 }));
    let mut third = Polled::new(plotter.lift(1));
    assert!(first.poll().is_pending() && second.poll().is_pending() && third.poll().is_pending());
    slow.release(1);
    second.wait();
    drop(second);
    third.wait();
    slow.release(1);
    assert_eq!((first.finish(), third.finish()), (Ok(()), Ok(())));
    assert_eq!(slow.state().entered, 2);
}

#[test]
fn a_call_that_was_left_behind_keeps_the_implementation_until_it_returned() {
    let runtime = runtime();
    let slow = Slow::default();
    let transport = Arc::new(slow.clone());
    let alive = Arc::downgrade(&transport);
    let plotter = Offload::new(Client::new(transport), NonZeroUsize::MIN);
    {
        let _inside = runtime.enter();
        let mut call = Polled::new(plotter.firmware(0, vec![0; 64]));
        assert!(call.poll().is_pending());
    }
    slow.wait_entered(1);
    drop(plotter);
    assert!(alive.upgrade().is_some());
    slow.release(1);
    // Waits for blocking calls that have begun.
    drop(runtime);
    assert_eq!((slow.state().left, slow.state().intact), (1, 1));
    assert!(alive.upgrade().is_none());
}

#[test]
fn idle_waits_for_calls_that_were_left_behind() {
    let runtime = runtime();
    let _inside = runtime.enter();
    let slow = Slow::default();
    let plotter = Offload::new(Client::new(slow.clone()), NonZeroUsize::new(2).unwrap());
    for count in 1..=2 {
        let mut call = Polled::new(plotter.firmware(0, vec![0; 64]));
        assert!(call.poll().is_pending());
        slow.wait_entered(count);
    }
    assert_eq!(plotter.in_flight(), 2);
    let mut idle = Polled::new(plotter.idle());
    assert!(idle.poll().is_pending());
    slow.release(2);
    idle.finish();
    assert_eq!((plotter.in_flight(), slow.state().left), (0, 2));
}
