//! Where a reader gets bytes from: anything of known length that can be read at an offset.

use std::fs::File;
use std::io;
use std::sync::Arc;

/// Bytes at offsets.
pub trait Source: Send + Sync {
    /// How many bytes there are now. A file that is being written grows.
    ///
    /// # Errors
    /// As the storage says.
    fn length(&self) -> io::Result<u64>;

    /// Reads bytes at an offset; 0 at the end. May read fewer than asked for.
    ///
    /// # Errors
    /// As the storage says.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Bytes at an offset without copying them, where they are in memory anyway.
    fn bytes_at(&self, offset: u64, length: usize) -> Option<&[u8]> {
        let _ = (offset, length);
        None
    }
}

impl Source for Arc<[u8]> {
    fn length(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.len()).unwrap_or(u64::MAX))
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.get(offset..))
            .unwrap_or_default();
        let count = rest.len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        Ok(count)
    }

    fn bytes_at(&self, offset: u64, length: usize) -> Option<&[u8]> {
        self.get(usize::try_from(offset).ok()?..)?.get(..length)
    }
}

#[cfg(unix)]
impl Source for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|data| data.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, bytes, offset)
    }
}

#[cfg(windows)]
impl Source for File {
    fn length(&self) -> io::Result<u64> {
        self.metadata().map(|data| data.len())
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, bytes, offset)
    }
}

/// Reads as many bytes as there are, up to all that were asked for. Interrupted and short reads go on.
pub(crate) fn read_full(source: &dyn Source, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
    let mut done = 0_usize;
    while let Some(rest) = bytes.get_mut(done..)
        && !rest.is_empty()
    {
        let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
        match source.read_at(at, rest) {
            Ok(0) => break,
            Ok(count) => done = done.saturating_add(count.min(rest.len())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
