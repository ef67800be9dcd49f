//! What every part measures with: the calls, the clock of a thread, storage that takes everything.

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, CodeInfo};
use hypercall_core::{Error, Transport, TransportError};
use hypercall_trace::clock::{Clock, Tsc};
use hypercall_trace::record::Storage;
use std::hint::black_box;
use std::io::{self, Write};

pub(crate) const CODES: &[CodeInfo] = &[];

/// Calls to measure with: only their description is used.
#[allow(
    dead_code,
    reason = "the attribute below makes one item more of it that is used"
)]
#[hypercall::interface(codes = CODES, crate = ::hypercall_core)]
pub trait Bench {
    /// A value and bytes.
    #[call(0x20)]
    fn blob(&self, id: u32, bytes: &mut [u8]) -> Result<(), Error>;
}

pub(crate) const INTERFACES: &[&hypercall::call::InterfaceInfo] = &[BenchCalls::INTERFACE];

/// Answers at once.
pub(crate) struct Null;
impl Transport for Null {
    #[inline(never)]
    fn call<'a>(&self, _: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        black_box(&args);
        Ok(0)
    }
}

/// Takes everything.
#[derive(Default)]
pub(crate) struct Nowhere;
impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Storage for Nowhere {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) const CALLS: u64 = 20_000;
pub(crate) const ROUNDS: usize = 41;

/// This thread's time on a processor, ns.
pub(crate) fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

pub(crate) fn ns_per(count: u64, work: impl FnOnce()) -> f64 {
    let start = cpu();
    work();
    (cpu() - start) / count as f64
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A payload as programs have it: small numbers, an address, some flags, mostly zeros.
pub(crate) fn payload(bytes: &mut [u8], count: u64) {
    for (place, word) in bytes.chunks_exact_mut(8).enumerate() {
        let value = match place % 8 {
            0 => 1 + count % 3,
            1 => 0x1_0000_0000 + count * 0x1000,
            2 => 0x1000,
            3 => 0x3,
            _ => 0,
        };
        word.copy_from_slice(&value.to_le_bytes());
    }
}

/// Looks at an answer as a client does. Handed on whole it would be read wider than it was just written: processors wait for that,
/// most of all behind a call without a recorder, whose time is subtracted.
pub(crate) fn look(answer: Result<i64, TransportError>) {
    match answer {
        Ok(rax) => {
            black_box(rax);
        }
        Err(error) => {
            black_box(&error);
        }
    }
}

/// A copy of bytes into a warm ring by memcpy, and their CRC-32C by the crate that is known for it: to see what part of a record
/// they are. ns.
pub(crate) fn copy_and_checksum(ring: &mut [u8], bytes: &[u8]) -> f64 {
    ns_per(CALLS, || {
        let mut at = 0;
        for _ in 0..CALLS {
            let to = &mut ring[at..at + bytes.len()];
            to.copy_from_slice(black_box(bytes));
            black_box(crc_fast::checksum(
                crc_fast::CrcAlgorithm::Crc32Iscsi,
                black_box(bytes),
            ));
            at = (at + bytes.len()) & 0x7fff;
        }
    })
}

pub(crate) fn calls(transport: &impl Transport, bytes: &[u8]) {
    let info = BenchCalls::BLOB;
    for count in 0..CALLS {
        let args = [Arg::Value(count), Arg::Read(black_box(bytes))];
        look(transport.call(info, args));
    }
}

/// One reading of the time-stamp counter and a copy of 128 bytes into a warm ring: what everything is compared with. ns.
pub(crate) fn floor(ring: &mut [u8]) -> f64 {
    ns_per(CALLS, || {
        let source = [7_u8; 128];
        let mut at = 0;
        for _ in 0..CALLS {
            black_box(Tsc.now());
            ring[at..at + 128].copy_from_slice(black_box(&source));
            at = (at + 128) & 0xffff;
        }
    })
}

/// Takes everything, and is then long asked onto the disk: the ring in front of it is left to itself.
#[derive(Clone, Default)]
pub(crate) struct Stuck(std::sync::Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>);
impl Stuck {
    pub(crate) fn open() -> Self {
        let stuck = Self::default();
        stuck.release();
        stuck
    }
    pub(crate) fn release(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}
impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
impl Storage for Stuck {
    fn sync(&mut self) -> io::Result<()> {
        let mut open = self.0.0.lock().unwrap();
        while !*open {
            open = self.0.1.wait(open).unwrap();
        }
        Ok(())
    }
}

pub(crate) fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("hct-bench-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    let _ = std::fs::remove_file(path);
    file
}

/// A folder for rings, removed at the end.
pub(crate) struct Folder(pub(crate) std::path::PathBuf);
impl Folder {
    pub(crate) fn new() -> Self {
        Self::named("rings")
    }
    pub(crate) fn named(name: &str) -> Self {
        let name = format!("hct-bench-{}-{name}", std::process::id());
        Self(std::path::Path::new("/dev/shm").join(name))
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
