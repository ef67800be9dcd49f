//! How calls look as text, shape by shape.
#![allow(clippy::unwrap_used, reason = "tests")]

mod plotter;

use std::fmt::Arguments;
use std::sync::Mutex;

use hypercall_core::arg::Arg;
use hypercall_core::layer::Print;
use hypercall_core::show::{ShowAnswer, ShowBlock, ShowCall, ShowField};
use hypercall_core::{Client, Error, Gpa, Payload, SharedPage, TransportError};
use hypercall_mock::script::{Expectation, Script, expect};
use plotter::{
    Area, Colour, Manner, PaperAddress, PenId, Pin, Plotter, PlotterCalls as C, Point, Ticket,
    point, ticket,
};

/// The line that a call leaves, when it is answered as the expectation says.
fn line<T>(
    expectation: Expectation,
    call: impl FnOnce(&dyn Plotter) -> Result<T, Error>,
) -> String {
    let shown = Mutex::new(Vec::new());
    let sink = |line: Arguments<'_>| shown.lock().unwrap().push(line.to_string());
    let script = Script::new().then(expectation);
    let _ = call(&Client::new(Print::new(&script, sink)));
    script.verify().unwrap();
    shown.into_inner().unwrap().pop().unwrap()
}

#[test]
fn values_look_as_their_types() {
    assert_eq!(
        line(expect(C::RESET), |plotter| plotter.reset()),
        "reset() = 0"
    );
    assert_eq!(
        line(expect(C::LIFT), |plotter| plotter.lift(PenId(7))),
        "lift(pen=PenId(7)) = 0"
    );
    assert_eq!(
        line(expect(C::ADD).rax(30), |plotter| plotter.add(10, 20)),
        "add(left=10, right=20) = 30"
    );
    assert_eq!(
        line(expect(C::UNLOCK), |plotter| plotter
            .unlock(Pin(1234), Colour(9))),
        "unlock(pin=<secret>, colour=Colour(9)) = 0"
    );
}

#[test]
fn blocks_show_their_fields_and_links_what_they_point_at() {
    assert_eq!(
        line(expect(C::MOVE_TO), |plotter| plotter
            .move_to(PenId(1), &point(500, -6))),
        "move_to(pen=PenId(1), x=0x1f4 mm, y=-6) = 0"
    );
    assert_eq!(
        line(expect(C::DRAW), |plotter| plotter
            .draw(Colour::RED, &[point(1, 2), point(0, 3)])),
        "draw(colour=RED, count=2, points=[{x=1 mm, y=2}, {y=3}]) = 0"
    );
    assert_eq!(
        line(expect(C::DRAW), |plotter| plotter
            .draw(Colour(7), &[point(1, 0); 10])),
        format!(
            "draw(colour=7, count=0xa, points=[{}…]) = 0",
            "{x=1 mm}, ".repeat(8)
        )
    );
    assert_eq!(
        line(expect(C::DRAW), |plotter| plotter.draw(Colour::BLACK, &[])),
        "draw(points=[]) = 0"
    );
    static PAGE: SharedPage = SharedPage::new();
    assert_eq!(
        line(expect(C::SHARE), |plotter| plotter
            .share(PenId(1), (&PAGE).into())),
        "share(pen=PenId(1), page=<page>) = 0"
    );
    assert_eq!(
        line(expect(C::SHARE), |plotter| plotter
            .share(PenId(1), Gpa(0x5000).into())),
        "share(pen=PenId(1), page=Gpa(0x5000)) = 0"
    );
    assert_eq!(
        line(expect(C::FIRMWARE), |plotter| plotter
            .firmware(1, &mut [0xab; 40])),
        format!(
            "firmware(offset=1, bytes=<{}… 40 bytes>) = 0",
            "ab".repeat(32)
        )
    );
}

#[test]
fn what_the_hypervisor_wrote_is_shown() {
    assert_eq!(
        line(expect(C::MIRROR).writes(&point(3, 4)), |plotter| plotter
            .mirror(&mut point(1, 2))),
        "mirror(x=3 mm, y=4) = 0"
    );
    assert_eq!(
        line(expect(C::POSITION).writes(&point(3, 4)), |plotter| plotter
            .position(PenId(1))),
        "position(pen=PenId(1)) = {x=3 mm, y=4}"
    );
    assert_eq!(
        line(
            expect(C::TRANSPOSE).writes_array(&[point(8, 9)]),
            |plotter| plotter.transpose(Colour::RED, &mut [point(1, 2)])
        ),
        "transpose(colour=RED, count=1, points=[{x=8 mm, y=9}]) = 0"
    );
    assert_eq!(
        line(expect(C::INK).writes(&65_u8), |plotter| plotter
            .ink(PenId(1))),
        "ink(pen=PenId(0x101)) = 0x41",
        "the register as it goes out: the bits that choose the method are part of it"
    );
}

#[test]
fn results_inside_blocks_and_refusals_are_told_apart() {
    let enqueue = |expectation| {
        line(expectation, |plotter| {
            plotter.enqueue(&mut ticket(b"demo\0\0\0\0"))
        })
    };
    assert_eq!(
        enqueue(expect(C::ENQUEUE).yields::<Ticket, u32>(7)),
        "enqueue(name=\"demo\", id=7) = 7"
    );
    assert_eq!(
        enqueue(expect(C::ENQUEUE).writes_field("id", u32::MAX)),
        "enqueue(name=\"demo\", id=0xffffffff) = rejected (id 0xffffffff)"
    );
    assert_eq!(
        enqueue(expect(C::ENQUEUE).rax(-2)),
        "enqueue(name=\"demo\", id=0xffffffff) = -2 ENOENT"
    );
    assert_eq!(
        enqueue(expect(C::ENQUEUE).rax(-99)),
        "enqueue(name=\"demo\", id=0xffffffff) = -99"
    );
    assert_eq!(
        enqueue(expect(C::ENQUEUE).rax(5)),
        "enqueue(name=\"demo\", id=0xffffffff) = 5",
        "nonsense"
    );
    assert_eq!(
        enqueue(expect(C::ENQUEUE).fails(TransportError::Fault(6))),
        "enqueue(name=\"demo\", id=0xffffffff) = ? (not issued: #UD (invalid opcode): no hypervisor takes VMCALL here, \
         or this VM may not make hypercalls)"
    );
    assert_eq!(
        line(expect(C::ADD).rax(-7), |plotter| plotter.add(0, 0)),
        "add(left=0, right=0) = -7 E2BIG"
    );
}

#[test]
fn roles_decide_what_is_seen_of_a_field() {
    let whole = Ticket {
        name: *b"a\"b\0zzzz",
        id: 12,
        pin: Pin(1234),
        colour: Colour(5),
        reserved: 0xffff,
        manner: Manner::SLOWLY | Manner::from_bits_retain(0x100),
        area: [
            Area {
                width: 1,
                height: 2,
            },
            Area {
                width: 0,
                height: 0x30,
            },
        ],
        sheet: PaperAddress(4096),
        buffer: 10,
        bytes: [1, 0, 0, 0, 0, 0, 0, 2],
    };
    assert_eq!(
        ShowBlock(&Ticket::KIND, whole.as_block()).to_string(),
        "{name=\"a\\\"b\", id=0xc, pin=<secret>, colour=5, manner=SLOWLY|0x100, \
         area=[{width=1, height=2}, {height=0x30}], sheet=PaperAddress(0x1000), buffer=0xa, \
         bytes=<0100000000000002>}"
    );
    let nothing = Ticket {
        reserved: 7,
        ..Ticket::zeroed()
    };
    assert_eq!(
        ShowBlock(&Ticket::KIND, nothing.as_block()).to_string(),
        "{id=0}",
        "no zeros but a handle, and no reserved fields"
    );
    let hypercall_core::schema::Kind::Struct(info) = Point::KIND else {
        unreachable!()
    };
    let field = info.field("x").unwrap();
    assert_eq!(
        ShowField(field, &0_u32.to_le_bytes()).to_string(),
        "0 mm",
        "asked for, so shown"
    );
}

#[test]
fn memory_that_is_not_there_is_said_so() {
    assert_eq!(
        ShowBlock(&Point::KIND, &[1, 0, 0, 0, 2]).to_string(),
        "{x=1 mm, y=<cut off>}"
    );
    let args = [Arg::None, Arg::Read(&[1])];
    assert_eq!(
        ShowCall(C::MOVE_TO, &args).to_string(),
        "move_to(pen=?, x=<cut off>, y=<cut off>)"
    );
    let args = [Arg::None, Arg::None];
    assert_eq!(
        ShowAnswer(C::POSITION, &args, &Ok(0)).to_string(),
        " = {x=<cut off>, y=<cut off>}"
    );
    assert_eq!(ShowAnswer(C::ENQUEUE, &args, &Ok(0)).to_string(), " = ?");
}

#[test]
fn acrns_calls_read_like_a_log() {
    use hypercall_core::acrn::{
        Gsi, Hypervisor, HypervisorCalls as Acrn, IrqLine, IrqLineOp, MemoryProt, MemoryRegion,
        VmCreation, VmId, VmName,
    };
    let shown = Mutex::new(Vec::new());
    let sink = |line: Arguments<'_>| shown.lock().unwrap().push(line.to_string());
    let script = Script::new()
        .then(
            expect(Acrn::CREATE_VM)
                .text("name", "demo")
                .yields::<VmCreation, _>(VmId(1)),
        )
        .then(
            expect(Acrn::SET_MEMORY_REGIONS)
                .field("vmid", VmId(1))
                .field("regions[0].size", 0x1000_u64),
        )
        .then(expect(Acrn::START_VM).arg("vm", VmId(1)).rax(-1))
        .then(
            expect(Acrn::SET_IRQLINE).arg("line", IrqLine::new(Gsi(4), IrqLineOp::RAISING_PULSE)),
        );
    let acrn = Client::new(Print::new(&script, sink));
    let mut creation = VmCreation::new(VmName::new("demo").unwrap());
    acrn.create_vm(&mut creation).unwrap();
    let region = MemoryRegion::map(Gpa(0), Gpa(0x10_0000), 0x1000, MemoryProt::RAM);
    acrn.set_memory_regions(VmId(1), &[region]).unwrap();
    acrn.start_vm(VmId(1)).unwrap_err();
    acrn.set_irqline(VmId(1), IrqLine::new(Gsi(4), IrqLineOp::RAISING_PULSE))
        .unwrap();
    script.verify().unwrap();
    assert_eq!(
        *shown.lock().unwrap(),
        [
            "create_vm(vmid=VmId(1), name=\"demo\") = VmId(1)",
            "set_memory_regions(vmid=VmId(1), mr_num=1, regions=[{prot=READ|WRITE|EXEC|WB, \
             service_vm_gpa=Gpa(0x100000), size=0x1000 bytes}]) = 0",
            "start_vm(vm=VmId(1)) = -1 EPERM",
            "set_irqline(vm=VmId(1), line=IrqLine { gsi: Gsi(4), op: RAISING_PULSE }) = 0",
        ]
    );
}
