//! As many lanes as there are entries: what looks for each lane among all would not end here.

use hypercall_cli::export::{Exporter as _, Pcapng};
use hypercall_trace::clock::ClockInfo;
use hypercall_trace::entry::{Entry, Unknown};
use hypercall_trace::read::Trace;
use hypercall_trace::schema::Schema;
use hypercall_trace::write::{Options, Writer};

const LANES: u32 = 200_000;

#[test]
fn each_lane_has_one_interface_of_a_capture() {
    let writer = Writer::new(
        Vec::new(),
        &Schema::default(),
        ClockInfo::default(),
        Options::default(),
    );
    let trace = Trace::from_bytes(writer.unwrap().finish().unwrap()).unwrap();
    let mut capture = Vec::new();
    let mut pcapng = Pcapng::new(&mut capture);
    pcapng.start(&trace).unwrap();
    // Twice each: an interface is not described again.
    for lane in (0..LANES).chain(0..LANES) {
        let entry = Entry::Unknown(Unknown {
            lane,
            index: 0,
            kind: 100,
            bytes: Vec::new(),
        });
        pcapng.entry(&entry).unwrap();
    }
    pcapng.finish().unwrap();
    drop(pcapng);
    // A block is a type, its length, its content.
    let mut kinds = [0_u32; 7];
    let mut rest = capture.as_slice();
    while let [a, b, c, d, length @ ..] = rest {
        let kind = u32::from_le_bytes([*a, *b, *c, *d]);
        if let Some(count) = kinds.get_mut(kind as usize) {
            *count += 1;
        }
        let length = u32::from_le_bytes(*length.first_chunk().unwrap());
        rest = &rest[length as usize..];
    }
    assert_eq!((kinds[1], kinds[6]), (LANES, 2 * LANES));
}
