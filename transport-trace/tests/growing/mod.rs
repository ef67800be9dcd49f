//! A file that is still being written while it is read.

use hypercall_trace::read::Source;
use std::io;
use std::sync::{Arc, Mutex};

/// What was written so far.
#[derive(Clone, Default)]
pub struct Growing(pub Arc<Mutex<Vec<u8>>>);

impl Source for Growing {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let all = self.0.lock().unwrap();
        let rest = all.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
