//! What a second lane costs the first one.

use crate::setup::*;
use hypercall_trace::record::{Full, Recorder, Recording, SyncPolicy};

/// What a call costs in a thread of its own, beside as many others as there are lanes.
pub(crate) fn lanes() {
    println!("thread CPU time of a recorded call with 64 bytes");
    let mut medians = Vec::new();
    for count in [1, 2] {
        let folder = Folder::new();
        let recording = Recording::options(INTERFACES)
            .rings(&folder.0)
            .full(Full::Overwrite)
            .sync(SyncPolicy::EachBlock)
            .ring(1 << 20, 4)
            .start(Stuck::open())
            .unwrap();
        let barrier = std::sync::Barrier::new(count);
        let times: Vec<f64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count)
                .map(|number| {
                    let lane = recording.lane(&format!("lane{number}")).unwrap();
                    let barrier = &barrier;
                    scope.spawn(move || {
                        let recorder = Recorder::new(Null, lane);
                        let bytes = [5; 64];
                        barrier.wait();
                        let times = (0..ROUNDS).map(|_| ns_per(CALLS, || calls(&recorder, &bytes)));
                        median(times.collect())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        println!("  {count} lane(s): {mean:5.1} ns");
        medians.push(mean);
    }
    println!("  ratio {:.2}  (gate 1.1)", medians[1] / medians[0]);
}
