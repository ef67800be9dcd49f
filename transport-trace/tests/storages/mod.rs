//! Recordings into storages that do what a test tells them, and what can be recovered of them.
#![allow(dead_code, reason = "not every test uses all of it")]

use crate::common::Device;
use hypercall::Client;
use hypercall_trace::clock::Clock;
use hypercall_trace::entry::{Call, Entry};
use hypercall_trace::read::Trace;
use hypercall_trace::read::recover::{Recovered, Ring, find, recover};
use hypercall_trace::record::{FileLane, Recorder, Storage};
use hypercall_trace::write::Options;
use std::io;
use std::path::Path;
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
