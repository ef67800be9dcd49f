extern crate hypercall_core as hypercall;
use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, CodeInfo};
use hypercall_core::{Error, Transport, TransportError};
use hypercall_trace::record::*;
use std::hint::black_box;
const CODES: &[CodeInfo] = &[];
/// x
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Bench {
    /// x
    #[call(0x20)]
    fn blob(&self, id: u32, bytes: &mut [u8]) -> Result<(), Error>;
}
const INTERFACES: &[&hypercall::call::InterfaceInfo] = &[BenchCalls::INTERFACE];
struct Null;
impl Transport for Null {
    #[inline(never)]
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        black_box(&args);
        Ok(0)
    }
}
struct Stuck;
impl std::io::Write for Stuck {
    fn write(&mut self, b: &[u8]) -> std::io::Result<usize> {
        Ok(b.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
impl Storage for Stuck {
    fn sync(&mut self) -> std::io::Result<()> {
        std::thread::sleep(std::time::Duration::from_secs(1000));
        Ok(())
    }
}
fn main() {
    let r = Recording::options(INTERFACES)
        .full(Full::Overwrite)
        .sync(SyncPolicy::EachBlock)
        .ring(1 << 20, 4)
        .start(Stuck)
        .unwrap();
    let rec = Recorder::new(Null, r.lane("m").unwrap());
    use hypercall_trace::clock::*;
    let mut ring = vec![0u8; 65536];
    let mut at = 0;
    let b64 = [7u8; 64];
    let b1k = [7u8; 1024];
    let b4k = [7u8; 4096];
    let mut v: Vec<Vec<f64>> = vec![vec![]; 8];
    let t = std::time::Instant::now();
    let t0 = Tsc.now();
    for _ in 0..if std::env::var("COUNT").is_ok() {
        0
    } else {
        9000
    } {
        let _ = rec.call(BenchCalls::BLOB, [Arg::Value(1), Arg::Read(&b4k)]);
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
    if std::env::var("COUNT").is_ok() {
        for c in 0..1000u64 {
            let _ = black_box(rec.call(
                BenchCalls::BLOB,
                [Arg::Value(c), Arg::Read(black_box(&b64))],
            ));
        }
        std::process::exit(0);
    }
    for round in 0..3000 {
        let k = if round % 4 == 0 { 50 } else { 200 };
        let mut m = |i: usize, f: &mut dyn FnMut()| {
            let s = Tsc.now();
            f();
            v[i].push((Tsc.now() - s) as f64 / k as f64);
        };
        m(0, &mut || {
            for _ in 0..k {
                black_box(Tsc.now());
                ring[at..at + 128].copy_from_slice(black_box(&[7u8; 128]));
                at = (at + 128) & 0xffff;
            }
        });
        m(1, &mut || {
            for c in 0..k {
                let _ = black_box(Null.call(
                    BenchCalls::BLOB,
                    [Arg::Value(c), Arg::Read(black_box(&b64))],
                ));
            }
        });
        m(2, &mut || {
            for c in 0..k {
                let _ = black_box(
                    rec.call(BenchCalls::BLOB, [Arg::Value(c), Arg::Read(black_box(&[]))]),
                );
            }
        });
        if std::env::var("ONLY").is_ok() {
            for _ in 0..20 {
                m(2, &mut || {
                    for c in 0..k {
                        let _ = black_box(
                            rec.call(BenchCalls::BLOB, [Arg::Value(c), Arg::Read(black_box(&[]))]),
                        );
                    }
                });
            }
            continue;
        }
        m(3, &mut || {
            for c in 0..k {
                let _ = black_box(rec.call(
                    BenchCalls::BLOB,
                    [Arg::Value(c), Arg::Read(black_box(&b64))],
                ));
            }
        });
        m(4, &mut || {
            for c in 0..k {
                let _ = black_box(rec.call(
                    BenchCalls::BLOB,
                    [Arg::Value(c), Arg::Read(black_box(&b1k))],
                ));
            }
        });
        m(5, &mut || {
            for c in 0..k {
                let _ = black_box(rec.call(
                    BenchCalls::BLOB,
                    [Arg::Value(c), Arg::Read(black_box(&b4k))],
                ));
            }
        });
        m(6, &mut || {
            for _ in 0..k {
                black_box(Tsc.now());
            }
        });
    }
    let ns = t.elapsed().as_nanos() as f64 / (Tsc.now() - t0) as f64;
    for p in [0.01, 0.1, 0.5] {
        let q: Vec<f64> = v
            .iter_mut()
            .map(|v| {
                v.sort_by(f64::total_cmp);
                if v.is_empty() {
                    0.
                } else {
                    v[(v.len() as f64 * p) as usize] * ns
                }
            })
            .collect();
        println!(
            "p{p}: floor {:.1} rdtsc {:.1} null {:.1}; 0: {:.1} ({:.2}x) 64: {:.1} ({:.2}x) 1k {:.1} ({:.2}x) 4k {:.1} ({:.2}x)",
            q[0],
            q[6],
            q[1],
            q[2] - q[1],
            (q[2] - q[1]) / q[0],
            q[3] - q[1],
            (q[3] - q[1]) / q[0],
            q[4] - q[1],
            (q[4] - q[1]) / q[0],
            q[5] - q[1],
            (q[5] - q[1]) / q[0]
        );
    }
    std::process::exit(0);
}
