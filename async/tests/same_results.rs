//! The async twin answers what the blocking trait answers, for every shape of argument and result.

mod common;

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use common::plotter::{AsyncPlotter, Plotter, PlotterCalls, PlotterServer, Point, Ticket};
use hypercall_async::Offload;
use hypercall_core::server::{GuestMemory, Rules};
use hypercall_core::{Client, Error, Gpa, Rejection, SharedPage, SharedRef};
use hypercall_mock::Ram;
use hypercall_mock::loopback::Loopback;
use tokio::runtime::Builder;

/// An implementation whose every answer depends on its arguments.
#[derive(Default)]
struct Firmware {
    at: Mutex<Point>,
    shared: Mutex<Option<SharedRef>>,
}

impl Plotter for Firmware {
    fn reset(&self) -> Result<(), Error> {
        *self.at.lock().unwrap() = Point { x: 3, y: 4 };
        Ok(())
    }
    fn lift(&self, plotter: u16) -> Result<(), Error> {
        match plotter {
            7 => Ok(()),
            _ => Err(Error::refused(PlotterCalls::LIFT, [plotter.into(), 0], -7)),
        }
    }
    fn add(&self, left: u32, right: u32) -> Result<u32, Error> {
        left.checked_add(right)
            .ok_or_else(|| Error::refused(PlotterCalls::ADD, [left.into(), right.into()], -7))
    }
    fn move_to(&self, plotter: u16, to: &Point) -> Result<(), Error> {
        *self.at.lock().unwrap() = Point {
            x: to.x + u32::from(plotter),
            y: to.y,
        };
        Ok(())
    }
    fn mirror(&self, point: &mut Point) -> Result<(), Error> {
        core::mem::swap(&mut point.x, &mut point.y);
        match point.x {
            666 => Err(Error::refused(PlotterCalls::MIRROR, [0; 2], -7)),
            _ => Ok(()),
        }
    }
    fn position(&self) -> Result<Point, Error> {
        Ok(*self.at.lock().unwrap())
    }
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error> {
        match ticket.weight {
            0 => Err(Error::rejected(
                PlotterCalls::ENQUEUE,
                [0; 2],
                Rejection("no weight"),
            )),
            weight => {
                ticket.weight += 1;
                Ok(40 + weight)
            }
        }
    }
    fn draw(&self, colour: u32, points: &[Point]) -> Result<(), Error> {
        for point in points {
            if point.x == 666 {
                return Err(Error::refused(PlotterCalls::DRAW, [0; 2], -7));
            }
            *self.at.lock().unwrap() = Point {
                x: point.x,
                y: colour,
            };
        }
        Ok(())
    }
    fn share(&self, _: u16, page: SharedRef) -> Result<(), Error> {
        *self.shared.lock().unwrap() = Some(page);
        Ok(())
    }
    fn ink(&self, plotter: u32) -> Result<u32, Error> {
        Ok(plotter & 0xff)
    }
    fn paper(&self, plotter: u32) -> Result<u32, Error> {
        Ok(plotter)
    }
    fn load(&self, offset: u32, bytes: &[u8]) -> Result<(), Error> {
        *self.at.lock().unwrap() = Point {
            x: offset,
            y: bytes.iter().copied().map(u32::from).sum(),
        };
        Ok(())
    }
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        for byte in bytes {
            *byte = byte.wrapping_add(offset.to_le_bytes()[0]);
        }
        Ok(())
    }
    fn transpose(&self, colour: u32, points: &mut [Point]) -> Result<(), Error> {
        for point in points {
            *point = Point {
                x: point.y + colour,
                y: point.x,
            };
        }
        Ok(())
    }
    fn exchange(&self, left: &mut Point, right: &mut Ticket) -> Result<(), Error> {
        core::mem::swap(&mut left.x, &mut right.id);
        Ok(())
    }
}

/// Bytes are four long for this server.
struct FourBytes;
impl Rules for FourBytes {
    fn extent(&self, _: &'static hypercall_core::call::CallInfo, _: [u64; 2]) -> Option<usize> {
        Some(4)
    }
}

type Wire = Client<Loopback<PlotterServer<Firmware, FourBytes>, Ram>>;

fn client() -> Wire {
    let server = PlotterServer {
        implementation: Firmware::default(),
        rules: FourBytes,
    };
    Client::new(Loopback::new(server, Ram::new(32), Gpa(0x1000), 0x10000))
}

const TO: Point = Point { x: 10, y: 20 };
const REFUSED: Point = Point { x: 1, y: 666 };
const TICKET: Ticket = Ticket { id: 9, weight: 5 };
const REJECTED: Ticket = Ticket { id: 9, weight: 0 };

fn points(refused: bool) -> Vec<Point> {
    let second = if refused { 666 } else { 2 };
    [1, second, 3].map(|x| Point { x, y: x * 10 }).into()
}

/// What the blocking trait answers, as text.
fn blocking(wire: &Wire, page: &'static SharedPage) -> Vec<String> {
    let mut seen = Vec::new();
    macro_rules! note {
        ($($part:expr),+) => { seen.push(format!("{:?}", ($($part,)+))) };
    }
    note!(wire.reset());
    note!(wire.position());
    note!(wire.lift(7), wire.lift(8));
    note!(wire.add(2, 3), wire.add(u32::MAX, 1));
    note!(wire.move_to(5, &TO), wire.position());
    for mut point in [TO, REFUSED] {
        note!(wire.mirror(&mut point), point);
    }
    for mut ticket in [TICKET, REJECTED] {
        note!(wire.enqueue(&mut ticket), ticket);
    }
    for refused in [false, true] {
        note!(wire.draw(6, &points(refused)), wire.position());
    }
    note!(wire.draw(6, &[]));
    note!(wire.draw(6, &vec![TO; 20_000]));
    note!(
        wire.share(1, page.into()),
        wire.share(1, Gpa(0x2000).into())
    );
    note!(wire.ink(0x42), wire.paper(0x42));
    note!(wire.load(8, &[1, 2, 3, 4, 5]), wire.position());
    let mut bytes = [1, 2, 3, 4, 5];
    note!(wire.firmware(3, &mut bytes), bytes);
    let mut array = points(false);
    note!(wire.transpose(100, &mut array), array);
    let (mut left, mut right) = (TO, TICKET);
    note!(wire.exchange(&mut left, &mut right), left, right);
    seen
}

/// What the twin answers, as the same text.
async fn offloaded(wire: &impl AsyncPlotter, page: &'static SharedPage) -> Vec<String> {
    let mut seen = Vec::new();
    macro_rules! note {
        ($($part:expr),+) => { seen.push(format!("{:?}", ($($part,)+))) };
    }
    note!(wire.reset().await);
    note!(wire.position().await);
    note!(wire.lift(7).await, wire.lift(8).await);
    note!(wire.add(2, 3).await, wire.add(u32::MAX, 1).await);
    note!(wire.move_to(5, TO).await, wire.position().await);
    for point in [TO, REFUSED] {
        let (result, point) = wire.mirror(point).await;
        note!(result, point);
    }
    for ticket in [TICKET, REJECTED] {
        let (result, ticket) = wire.enqueue(ticket).await;
        note!(result, ticket);
    }
    for refused in [false, true] {
        note!(wire.draw(6, points(refused)).await, wire.position().await);
    }
    note!(wire.draw(6, vec![]).await);
    note!(wire.draw(6, vec![TO; 20_000]).await);
    note!(
        wire.share(1, page.into()).await,
        wire.share(1, Gpa(0x2000).into()).await
    );
    note!(wire.ink(0x42).await, wire.paper(0x42).await);
    note!(
        wire.load(8, vec![1, 2, 3, 4, 5]).await,
        wire.position().await
    );
    let (result, bytes) = wire.firmware(3, vec![1, 2, 3, 4, 5]).await;
    note!(result, bytes);
    let (result, array) = wire.transpose(100, points(false)).await;
    note!(result, array);
    let (result, left, right) = wire.exchange(TO, TICKET).await;
    note!(result, left, right);
    seen
}

#[test]
fn every_shape_answers_as_the_blocking_call_does() {
    static PAGE: SharedPage = SharedPage::new();
    let expected = blocking(&client(), &PAGE);
    let twin = Offload::new(client(), NonZeroUsize::MIN);
    let runtime = Builder::new_current_thread().build().unwrap();
    let seen = runtime.block_on(offloaded(&twin, &PAGE));
    assert_eq!(seen, expected);
    // Successes, refusals, a rejection and an array that does not fit are among them.
    for part in [
        "Ok(5)",
        "was refused with",
        "but did not succeed",
        "was not issued",
        "[4, 5, 6, 7, 5]",
    ] {
        assert!(
            expected.iter().any(|line| line.contains(part)),
            "{part}: {expected:#?}"
        );
    }
}

#[test]
fn a_shared_page_stays_the_same_memory() {
    static PAGE: SharedPage = SharedPage::new();
    let twin = Offload::new(client(), NonZeroUsize::MIN);
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(twin.share(1, (&PAGE).into())).unwrap();
    let wire = twin.implementation().transport();
    let Some(SharedRef::Address(gpa)) = *wire.server().implementation.shared.lock().unwrap() else {
        panic!("a server sees an address");
    };
    wire.memory()
        .write(gpa.0, &[0xef, 0xbe, 0xad, 0xde])
        .unwrap();
    assert_eq!(PAGE.word(0).unwrap().load(Ordering::Relaxed), 0xdead_beef);
}

#[test]
fn the_twin_is_a_trait_object_that_other_threads_may_use() {
    fn shared<T: Send + Sync + ?Sized>(_: &T) {}
    let twin: std::sync::Arc<dyn AsyncPlotter> =
        std::sync::Arc::new(Offload::new(client(), NonZeroUsize::MIN));
    shared(&*twin);
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let sum = runtime.spawn(async move { twin.add(20, 22).await });
    assert_eq!(runtime.block_on(sum).unwrap(), Ok(42));
    // A blocking implementation that is a trait object is one as well.
    let erased: std::sync::Arc<dyn Plotter + Send + Sync> = std::sync::Arc::new(client());
    let twin = Offload::new(erased, NonZeroUsize::MIN);
    assert_eq!(runtime.block_on(twin.add(1, 1)), Ok(2));
}
