//! Recordings into storages that do what a test tells them, and what can be recovered of them.
#![allow(dead_code, reason = "not every test uses all of it")]

use crate::common::folder::Folder;
use crate::common::{Device, Plotter as _};
use hypercall::Client;
use hypercall::call::InterfaceInfo;
use hypercall_trace::clock::Clock;
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Recovered, Ring, find, recover};
use hypercall_trace::record::{FileLane, Recorder, Recording, Storage};
use hypercall_trace::write::Options;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What a storage took.
#[derive(Clone, Default)]
pub struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    pub fn take(&self, bytes: &[u8]) {
        self.0.lock().unwrap().extend_from_slice(bytes);
    }
    /// A copy of them.
    pub fn all(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
    pub fn trace(&self) -> Trace {
        Trace::from_bytes(self.all()).unwrap()
    }
}

/// A storage that does what it is told at each write and each sync. What it took is in the bytes.
pub struct Told<W, S> {
    pub bytes: Bytes,
    pub write: W,
    pub sync: S,
}

/// A storage that takes all.
pub fn willing(bytes: &Bytes) -> impl Storage + use<> {
    Told {
        bytes: bytes.clone(),
        write: || Ok(()),
        sync: || Ok(()),
    }
}

impl<W: FnMut() -> io::Result<()>, S> io::Write for Told<W, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.write)()?;
        self.bytes.take(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W, S> Storage for Told<W, S>
where
    W: FnMut() -> io::Result<()> + Send + 'static,
    S: FnMut() -> io::Result<()> + Send + 'static,
{
    fn sync(&mut self) -> io::Result<()> {
        (self.sync)()
    }
}

/// A recording that was finished. In each lane it has so many calls, whose first arguments go up from this number, or none.
pub fn finished(
    interfaces: &'static [&'static InterfaceInfo],
    lanes: &[(&str, Option<u32>)],
    calls: u32,
) -> Vec<u8> {
    // Tests make several at a time.
    static MADE: AtomicU32 = AtomicU32::new(0);
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = Folder::new(&format!("finished-{made}"));
    let bytes = Bytes::default();
    let recording = Recording::options(interfaces)
        .rings(&folder.0)
        .start(willing(&bytes))
        .unwrap();
    for (lane, first) in lanes {
        let client = client(recording.lane(lane).unwrap());
        for round in first.iter().flat_map(|first| *first..first + calls) {
            client.add(round, 1).unwrap();
        }
    }
    assert!(recording.finish().complete);
    bytes.all()
}

pub fn client<C: Clock>(lane: FileLane<C>) -> Client<Recorder<Device, FileLane<C>>> {
    Client::new(Recorder::new(Device::default(), lane))
}

pub fn calls(trace: &Trace) -> Vec<Call> {
    trace
        .entries()
        .filter_map(|entry| match entry {
            Entry::Call(call) => Some(call),
            _ => None,
        })
        .collect()
}

/// The rings that a recording left.
pub fn rings_in(folder: &Path) -> Vec<Ring> {
    let paths = find(folder).unwrap().into_iter();
    paths.map(|path| Ring::open(path).unwrap()).collect()
}

/// What a file and rings have together.
pub fn recovered(file: Option<&Trace>, rings: &[Ring]) -> (Trace, Recovered) {
    let (bytes, recovered) = recover(file, rings, Vec::new(), Options::default()).unwrap();
    (Trace::from_bytes(bytes).unwrap(), recovered)
}
