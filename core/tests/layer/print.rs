use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::Mutex;

use hypercall_core::layer::Print;
use hypercall_core::{Client, TransportError};

use crate::plotter::{Plotter, Point, Wire};

#[test]
fn a_line_shows_the_arguments_and_the_answer() {
    let lines = Mutex::new(Vec::new());
    let wire = Wire::new(|info, args| {
        if let Some(output) = args[0].output().filter(|output| output.len() == 8) {
            output[0] = 5;
        }
        if let Some([first, ..]) = args[1].output() {
            *first = 7;
        }
        match (info.name, args[0].value()) {
            ("add", left) => Ok(i64::try_from(left).unwrap()),
            (_, 9) => Ok(-2),
            (_, 8) => Ok(-123),
            (_, 7) => Err(TransportError::Lost("the wire is cut")),
            _ => Ok(0),
        }
    });
    let sink = |line: Arguments<'_>| lines.lock().unwrap().push(line.to_string());
    let plotter = Client::new(Print::new(wire, sink));
    let _ = plotter.reset();
    let _ = (plotter.lift(9), plotter.lift(8), plotter.lift(7));
    let _ = plotter.add(1, 2);
    let _ = plotter.position(3);
    let _ = plotter.mirror(&mut Point { x: 1, y: 2 });
    let _ = plotter.firmware(&mut [1, 2, 3]);
    assert_eq!(
        *lines.lock().unwrap(),
        [
            "reset() = 0",
            "lift(pen=9) = -2 ENOENT",
            "lift(pen=8) = -123",
            "lift(pen=7) = ? (the answer was lost, and the hypervisor may have acted: the wire is cut)",
            "add(left=1, right=2) = 1",
            "position(pen=3) = {x=7}",
            "mirror(x=5, y=2) = 0",
            "firmware(bytes=<010203>) = 0",
        ]
    );
}

#[test]
fn each_call_is_one_whole_line_whatever_threads_do() {
    let lines = Mutex::new(BTreeMap::<String, usize>::new());
    let sink =
        |line: Arguments<'_>| *lines.lock().unwrap().entry(line.to_string()).or_default() += 1;
    let print = Print::new(Wire::willing(), sink);
    std::thread::scope(|scope| {
        for pen in 0..4 {
            let plotter = Client::new(&print);
            scope.spawn(move || (0..100).for_each(|_| plotter.lift(pen).unwrap()));
        }
    });
    let expected = (0..4)
        .map(|pen| (format!("lift(pen={pen}) = 0"), 100))
        .collect();
    assert_eq!(*lines.lock().unwrap(), expected);
}
