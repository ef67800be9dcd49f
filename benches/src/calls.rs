//! What a call costs on its way: `cargo bench`.
//!
//! Three questions, a module for each: what the way through client, registers, memory and dispatcher adds to a method
//! ([`shapes`]), what the dispatchers alone cost ([`dispatch`]), how much the fake ACRN does in a second ([`fake`]).
//!
//! Times are the machine's, so nothing asserts one. What can be compared between machines is printed last: ratios, each
//! to something that was measured in the same run.

mod dispatch;
mod fake;
mod ratios;
mod shapes;
mod silent;
mod stage;

use std::path::Path;
use std::time::{Duration, SystemTime};

use criterion::Criterion;

fn main() {
    let started = SystemTime::now();
    // The place that criterion would choose; named here because the ratios are read from it.
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("criterion");
    let mut criterion = Criterion::default()
        .output_directory(&output)
        .sample_size(50)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    shapes::bench(&mut criterion);
    dispatch::bench(&mut criterion);
    fake::bench(&mut criterion);
    criterion.final_summary();
    ratios::print(&output, started);
}
