//! An interface that is not ACRN's, defined outside the framework, over the whole way that a call takes: every shape
//! of argument and result, from the client through registers and memory to an implementation of the same trait.
#![allow(missing_docs, reason = "the types are only for this test")]

extern crate hypercall_core as hypercall;

use hypercall::call::CodeInfo;
use hypercall::server::{GuestMemory, Registers, Rules, Serve};
use hypercall::{
    Client, Error, ErrorKind, Gpa, Payload, Rejection, SharedPage, SharedRef, Transport, Yields,
};
use hypercall_mock::Ram;
use hypercall_mock::loopback::Loopback;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: -2,
        name: "ENOENT",
        text: "there is no such thing",
    },
    CodeInfo {
        code: -7,
        name: "E2BIG",
        text: "too much",
    },
];

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "struct point")]
pub struct Point {
    /// A coordinate.
    #[payload(units = "mm")]
    pub x: u32,
    /// A coordinate.
    pub y: u32,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Ticket {
    #[payload(text)]
    pub name: [u8; 8],
    #[payload(handle)]
    pub id: u32,
    #[payload(reserved)]
    pub reserved: u32,
}

impl Yields<u32> for Ticket {
    fn yielded(&self) -> Result<u32, Rejection> {
        if self.id == u32::MAX {
            Err(Rejection("id 0xffffffff"))
        } else {
            Ok(self.id)
        }
    }
    fn store(&mut self, value: u32) {
        self.id = value;
    }
    fn store_failure(&mut self) {
        self.id = u32::MAX;
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct PathHeader {
    pub colour: u16,
    pub count: u16,
    #[payload(reserved)]
    pub reserved: u32,
    #[payload(address)]
    pub points: u64,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Pointer {
    pub page: Gpa,
}

hypercall::register_id! {
    /// A plotter.
    pub struct PlotterId(u16) as Handle;
}

/// A plotter's firmware.
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Plotter {
    /// Nothing in, nothing out.
    #[call(0x10)]
    fn reset(&self) -> Result<(), Error>;
    /// One value.
    #[call(0x11, errors(-2 = "is the plotter switched on"))]
    fn lift(&self, plotter: PlotterId) -> Result<(), Error>;
    /// Two values, and a result in RAX.
    #[call(0x12, result = rax)]
    fn add(&self, left: u32, right: u32) -> Result<u32, Error>;
    /// A value and a block that is read.
    #[call(0x13)]
    fn move_to(&self, plotter: PlotterId, to: &Point) -> Result<(), Error>;
    /// A block that is changed.
    #[call(0x14)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
    /// A returned block.
    #[call(0x15)]
    fn position(&self, plotter: PlotterId) -> Result<Point, Error>;
    /// A result inside a block.
    #[call(0x16, result = ticket)]
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error>;
    /// An array behind a header that takes a value along.
    #[call(0x17, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn draw(&self, colour: u16, points: &[Point]) -> Result<(), Error>;
    /// Memory that is kept.
    #[call(0x18, header(Pointer { page: &page }))]
    fn share(&self, plotter: PlotterId, page: SharedRef) -> Result<(), Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x100))]
    fn ink(&self, plotter: PlotterId) -> Result<u8, Error>;
    /// Two methods of one number.
    #[call(0x19, select(0xff00, 0x200))]
    fn paper(&self, plotter: PlotterId) -> Result<Point, Error>;
    /// Bytes.
    #[call(0x1a)]
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error>;
    /// An array that is changed.
    #[call(0x1b, header(PathHeader { colour: colour, count: points.len(), points: &points }))]
    fn transpose(&self, colour: u16, points: &mut [Point]) -> Result<(), Error>;
    /// Not a call: a method in terms of others.
    fn home(&self, plotter: PlotterId) -> Result<(), Error> {
        self.move_to(plotter, &Point { x: 0, y: 0 })
    }
}

#[derive(Default)]
struct Firmware {
    at: Mutex<Option<Point>>,
    drawn: Mutex<Vec<(u16, usize, Option<Point>)>>,
    shared: Mutex<Option<SharedRef>>,
}

impl Plotter for Firmware {
    fn reset(&self) -> Result<(), Error> {
        *self.at.lock().unwrap() = Some(Point { x: 1, y: 2 });
        Ok(())
    }
    fn lift(&self, plotter: PlotterId) -> Result<(), Error> {
        if plotter == PlotterId(7) {
            Ok(())
        } else {
            Err(Error::refused(
                PlotterCalls::LIFT,
                [plotter.0.into(), 0],
                -2,
            ))
        }
    }
    fn add(&self, left: u32, right: u32) -> Result<u32, Error> {
        left.checked_add(right)
            .ok_or_else(|| Error::refused(PlotterCalls::ADD, [left.into(), right.into()], -7))
    }
    fn move_to(&self, _: PlotterId, to: &Point) -> Result<(), Error> {
        *self.at.lock().unwrap() = Some(*to);
        Ok(())
    }
    fn mirror(&self, point: &mut Point) -> Result<(), Error> {
        core::mem::swap(&mut point.x, &mut point.y);
        Ok(())
    }
    fn position(&self, plotter: PlotterId) -> Result<Point, Error> {
        self.at
            .lock()
            .unwrap()
            .ok_or_else(|| Error::refused(PlotterCalls::POSITION, [plotter.0.into(), 0], -2))
    }
    fn enqueue(&self, ticket: &mut Ticket) -> Result<u32, Error> {
        if &ticket.name == b"rejected" {
            Err(Error::rejected(
                PlotterCalls::ENQUEUE,
                [0; 2],
                Rejection("no room"),
            ))
        } else {
            Ok(40 + u32::from(ticket.name[0]))
        }
    }
    fn draw(&self, colour: u16, points: &[Point]) -> Result<(), Error> {
        self.drawn
            .lock()
            .unwrap()
            .push((colour, points.len(), points.first().copied()));
        match points.first() {
            Some(Point { x: 666, .. }) => Err(Error::refused(PlotterCalls::DRAW, [0; 2], -7)),
            _ => Ok(()),
        }
    }
    fn share(&self, _: PlotterId, page: SharedRef) -> Result<(), Error> {
        *self.shared.lock().unwrap() = Some(page);
        Ok(())
    }
    fn ink(&self, plotter: PlotterId) -> Result<u8, Error> {
        Ok(u8::try_from(plotter.0 & 0xff).unwrap())
    }
    fn paper(&self, plotter: PlotterId) -> Result<Point, Error> {
        Ok(Point {
            x: u32::from(plotter.0),
            y: 297,
        })
    }
    fn firmware(&self, offset: u32, bytes: &mut [u8]) -> Result<(), Error> {
        for byte in bytes {
            *byte = byte.wrapping_add(u8::try_from(offset).unwrap());
        }
        Ok(())
    }
    fn transpose(&self, colour: u16, points: &mut [Point]) -> Result<(), Error> {
        for point in points {
            *point = Point {
                x: point.y + u32::from(colour),
                y: point.x,
            };
        }
        Ok(())
    }
}

struct FirmwareRules;
impl Rules for FirmwareRules {
    fn extent(&self, _: &'static hypercall::call::CallInfo, _: [u64; 2]) -> Option<usize> {
        Some(4)
    }
}

type Wire = Loopback<PlotterServer<Firmware, FirmwareRules>, Ram>;

fn client() -> Client<Wire> {
    let server = PlotterServer {
        implementation: Firmware::default(),
        rules: FirmwareRules,
    };
    Client::new(Loopback::new(server, Ram::new(32), Gpa(0x1000), 0x10000))
}

fn firmware(client: &Client<Wire>) -> &Firmware {
    &client.transport().server().implementation
}

#[test]
fn values_and_results_arrive() {
    let plotter = client();
    plotter.reset().unwrap();
    plotter.lift(PlotterId(7)).unwrap();
    assert_eq!(plotter.add(2, 3), Ok(5));
    assert_eq!(plotter.position(PlotterId(1)), Ok(Point { x: 1, y: 2 }));
    plotter.home(PlotterId(1)).unwrap();
    assert_eq!(plotter.position(PlotterId(1)), Ok(Point { x: 0, y: 0 }));
}

#[test]
fn a_refusal_names_the_call_its_registers_and_what_to_check() {
    let error = client().lift(PlotterId(3)).unwrap_err();
    assert_eq!(
        (error.kind, error.rax, error.args),
        (ErrorKind::Refused, -2, [3, 0])
    );
    assert_eq!(
        error.to_string(),
        "lift(plotter=PlotterId(3)) was refused with -2 (ENOENT): there is no such thing. Check: is the plotter switched on"
    );
    assert_eq!(client().add(u32::MAX, 1).unwrap_err().code(), Some(-7));
}

#[test]
fn blocks_are_changed_in_place() {
    let mut point = Point { x: 8, y: 9 };
    client().mirror(&mut point).unwrap();
    assert_eq!(point, Point { x: 9, y: 8 });
    let mut bytes = [1, 2, 3, 4, 5];
    client().firmware(3, &mut bytes).unwrap();
    assert_eq!(bytes, [4, 5, 6, 7, 5], "the server's rules say four bytes");
}

/// Only the address of bytes travels. A server that does not know how many there are does not call its method with none.
#[test]
fn bytes_of_unknown_number_are_refused_and_not_dropped() {
    struct Says(Option<usize>);
    impl Rules for Says {
        fn extent(&self, call: &'static hypercall::call::CallInfo, _: [u64; 2]) -> Option<usize> {
            assert_eq!(*call, *PlotterCalls::FIRMWARE);
            self.0
        }
    }
    fn refused(server: impl hypercall::server::Serve) -> String {
        let client = Client::new(Loopback::new(server, Ram::new(32), Gpa(0x1000), 0x10000));
        let mut bytes = [1, 2, 3];
        let error = client.firmware(1, &mut bytes).unwrap_err();
        assert_eq!(bytes, [1, 2, 3]);
        assert!(!error.may_have_run(), "{error}");
        error.to_string()
    }
    let why = refused(PlotterServer::new(Firmware::default()));
    assert!(why.contains("`Rules::extent`"), "{why}");
    let rules = |extent| PlotterServer {
        implementation: Firmware::default(),
        rules: Says(extent),
    };
    assert_eq!(refused(rules(None)), why);
    let limit = hypercall::server::BYTES_LIMIT;
    let why = refused(rules(Some(limit + 1)));
    assert!(why.contains("`BYTES_LIMIT`"), "{why}");
    let client = Client::new(Loopback::new(
        rules(Some(limit)),
        Ram::new(32),
        Gpa(0x1000),
        0x10000,
    ));
    let mut bytes = vec![1; limit];
    client.firmware(1, &mut bytes).unwrap();
    assert_eq!(bytes, vec![2; limit]);
}

#[test]
fn a_rejection_travels_in_the_block() {
    let mut ticket = Ticket {
        name: *b"a\0\0\0\0\0\0\0",
        id: 9,
        reserved: 0,
    };
    assert_eq!(client().enqueue(&mut ticket), Ok(137));
    let mut ticket = Ticket {
        name: *b"rejected",
        id: 9,
        reserved: 0,
    };
    let error = client().enqueue(&mut ticket).unwrap_err();
    assert_eq!(
        (error.kind, error.rax),
        (ErrorKind::Rejected("id 0xffffffff"), 0)
    );
    assert_eq!(ticket.id, u32::MAX);
}

#[test]
fn arrays_are_applied_one_by_one_until_one_is_refused() {
    let plotter = client();
    let points: Vec<_> = [1, 2, 666, 3].map(|x| Point { x, y: 0 }).into();
    assert_eq!(plotter.draw(5, &points).unwrap_err().code(), Some(-7));
    let drawn = firmware(&plotter).drawn.lock().unwrap().clone();
    assert_eq!(drawn.len(), 3);
    assert_eq!(drawn[2], (5, 1, Some(Point { x: 666, y: 0 })));
    plotter.draw(6, &[]).unwrap();
    assert_eq!(firmware(&plotter).drawn.lock().unwrap()[3], (6, 0, None));
    let mut points = [Point { x: 1, y: 2 }, Point { x: 3, y: 4 }];
    plotter.transpose(10, &mut points).unwrap();
    assert_eq!(points, [Point { x: 12, y: 1 }, Point { x: 14, y: 3 }]);
}

#[test]
fn an_array_longer_than_its_header_can_count_is_not_issued() {
    let points = vec![Point { x: 0, y: 0 }; 65_536];
    let error = client().draw(1, &points).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Invalid(_)), "{error}");
    assert!(!error.may_have_run());
}

#[test]
fn a_shared_page_is_the_same_memory_on_both_sides() {
    static PAGE: SharedPage = SharedPage::new();
    let plotter = client();
    plotter.share(PlotterId(1), (&PAGE).into()).unwrap();
    let Some(SharedRef::Address(gpa)) = *firmware(&plotter).shared.lock().unwrap() else {
        panic!("a server sees an address");
    };
    plotter
        .transport()
        .memory()
        .write(gpa.0 + 6, &[0xab, 0xcd])
        .unwrap();
    assert_eq!(PAGE.word(4).unwrap().load(Ordering::Relaxed), 0xcdab_0000);
}

#[test]
fn methods_of_one_number_are_told_apart_by_their_register() {
    let plotter = client();
    assert_eq!(plotter.ink(PlotterId(0x42)), Ok(0x42));
    assert_eq!(
        plotter.paper(PlotterId(0x42)),
        Ok(Point { x: 0x242, y: 297 })
    );
}

#[test]
fn raw_calls_get_raw_answers() {
    let plotter = client();
    let wire = plotter.transport();
    let serve = |number, args| {
        wire.server()
            .serve(Registers { number, args }, wire.memory())
    };
    assert_eq!(serve(0x99, [0, 0]), Ok(-25), "unknown number");
    assert_eq!(serve(0x19, [0x300, 0]), Ok(-25), "unknown selector");
    assert_eq!(serve(0x13, [1, u64::MAX]), Ok(-14), "unreadable block");
    assert_eq!(
        serve(0x12, [u64::MAX, 0]),
        Ok(0xffff_ffff),
        "upper register bits do not count"
    );
}

#[test]
fn forwarding_keeps_the_type_of_the_interface() {
    fn through(plotter: impl Plotter) -> Result<u32, Error> {
        plotter.add(1, 1)
    }
    let plotter = client();
    assert_eq!(through(&plotter), Ok(2));
    let object: &dyn Plotter = &plotter;
    assert_eq!(through(object), Ok(2));
    let boxed: Box<dyn Plotter> = Box::new(client());
    assert_eq!(through(boxed), Ok(2));
    assert_eq!(through(std::sync::Arc::new(client())), Ok(2));
    let erased: Client<Box<dyn Transport>> = Client::new(Box::new(client().into_inner()));
    assert_eq!(through(erased), Ok(2));
}

#[test]
fn the_schema_says_what_travels() {
    let draw = PlotterCalls::INTERFACE.call("draw").unwrap();
    let text = format!("{:?}", draw.registers[0]);
    assert!(text.contains("count_offset: 2, count_size: 2"), "{text}");
    assert_eq!(
        PlotterCalls::INTERFACE
            .select(0x19, [0x0242, 0])
            .unwrap()
            .name,
        "paper"
    );
    let hypercall::schema::Kind::Struct(info) = <Point as Payload>::KIND else {
        panic!()
    };
    assert_eq!(
        (info.c_name, info.fields[0].units, info.fields[1].offset),
        ("struct point", "mm", 4)
    );
}

/// Answers every call with one RAX and leaves memory alone.
struct Fixed(i64);
impl Transport for Fixed {
    fn call<'a>(
        &self,
        _: &'static hypercall::call::CallInfo,
        _: [hypercall::arg::Arg<'a>; 2],
    ) -> Result<i64, hypercall::TransportError> {
        Ok(self.0)
    }
}

#[test]
fn only_an_int_below_zero_is_a_refusal() {
    let kind = |rax| Client::new(Fixed(rax)).reset().unwrap_err().kind;
    assert_eq!(kind(-1), ErrorKind::Refused);
    assert_eq!(kind(i64::from(i32::MIN)), ErrorKind::Refused);
    assert_eq!(kind(i64::from(i32::MIN) - 1), ErrorKind::Nonsense);
    assert_eq!(kind(1), ErrorKind::Nonsense);
    let sum = |rax| {
        Client::new(Fixed(rax))
            .add(0, 0)
            .map_err(|error| error.kind)
    };
    assert_eq!(sum(0xffff_ffff), Ok(u32::MAX));
    assert_eq!(
        sum(0x1_0000_0000),
        Err(ErrorKind::Nonsense),
        "a u32 does not hold it"
    );
}

#[test]
fn what_may_have_run_is_said_so() {
    let may_have_run = |rax| {
        Client::new(Fixed(rax))
            .lift(PlotterId(1))
            .unwrap_err()
            .may_have_run()
    };
    assert!(!may_have_run(-1));
    assert!(may_have_run(7), "nonsense");
    let points = [Point { x: 1, y: 0 }, Point { x: 666, y: 0 }];
    let error = client().draw(5, &points).unwrap_err();
    assert!(
        error.may_have_run(),
        "the elements before the refused one were applied"
    );
    let mut ticket = Ticket {
        name: *b"rejected",
        id: 9,
        reserved: 0,
    };
    assert!(
        client().enqueue(&mut ticket).unwrap_err().may_have_run(),
        "RAX was 0"
    );
}

#[test]
fn a_server_that_is_a_client_passes_answers_on() {
    for rax in [1, -1, -40, i64::MIN] {
        let server = PlotterServer::new(Client::new(Fixed(rax)));
        let registers = Registers {
            number: 0x10,
            args: [0; 2],
        };
        assert_eq!(server.serve(registers, &Ram::new(1)), Ok(rax));
    }
}

/// Refuses and answers as it is told.
struct Told(i64);
impl Sums for Told {
    fn sum(&self) -> Result<u64, Error> {
        Err(Error::refused(SumsCalls::SUM, [0; 2], self.0))
    }
    fn large(&self) -> Result<u64, Error> {
        Ok(u64::MAX)
    }
    fn unlock(&self, _: Password) -> Result<(), Error> {
        Err(Error::refused(SumsCalls::UNLOCK, [1234, 0], self.0))
    }
}

hypercall::register_id! {
    /// Opens the plotter.
    pub struct Password(u16) as Secret;
}

/// Calls whose answers RAX cannot always express.
#[hypercall::interface]
pub trait Sums {
    /// A sum.
    #[call(1, result = rax)]
    fn sum(&self) -> Result<u64, Error>;
    /// A large sum.
    #[call(2, result = rax)]
    fn large(&self) -> Result<u64, Error>;
    /// A secret goes in.
    #[call(3)]
    fn unlock(&self, password: Password) -> Result<(), Error>;
}

#[test]
fn a_server_makes_up_no_answer() {
    let serve = |number, rax| {
        Served::of(SumsServer::new(Told(rax)).serve(
            Registers {
                number,
                args: [0; 2],
            },
            &Ram::new(1),
        ))
    };
    assert_eq!(serve(1, -3), Served::Answer(-3));
    assert_eq!(
        serve(1, 3),
        Served::Lost,
        "a refusal with 3 would read as the sum 3"
    );
    assert_eq!(serve(1, 0), Served::Lost);
    assert_eq!(
        serve(2, 0),
        Served::Lost,
        "u64::MAX would read as a refusal"
    );
    assert_eq!(
        serve(3, 0),
        Served::Lost,
        "a refusal with 0 would read as a success"
    );
}

#[derive(Debug, PartialEq)]
enum Served {
    Answer(i64),
    Lost,
}
impl Served {
    fn of(result: Result<i64, hypercall::TransportError>) -> Self {
        match result {
            Ok(rax) => Self::Answer(rax),
            Err(hypercall::TransportError::Lost(_)) => Self::Lost,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn secrets_are_not_shown() {
    let error = Told(-1).unlock(Password(1234)).unwrap_err();
    assert!(
        error.to_string().starts_with("unlock(password=<secret>)"),
        "{error}"
    );
    assert_eq!(format!("{:?}", Password(1234)), "Password(<secret>)");
}

#[test]
fn an_array_ends_with_the_address_space() {
    /// Memory at the very top and, were addresses to wrap around, at the bottom.
    struct Everywhere;
    impl GuestMemory for Everywhere {
        fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), hypercall::server::Unmapped> {
            bytes.fill(0);
            if gpa == 0x1000 {
                let header = PathHeader {
                    colour: 1,
                    count: u16::MAX,
                    reserved: 0,
                    points: u64::MAX - 15,
                };
                bytes.copy_from_slice(header.as_block());
            }
            Ok(())
        }
        fn write(&self, _: u64, _: &[u8]) -> Result<(), hypercall::server::Unmapped> {
            Ok(())
        }
    }
    let server = PlotterServer::new(Firmware::default());
    assert_eq!(
        server.serve(
            Registers {
                number: 0x17,
                args: [0x1000, 0]
            },
            &Everywhere
        ),
        Ok(0)
    );
    assert_eq!(server.implementation.drawn.lock().unwrap().len(), 2);
}
