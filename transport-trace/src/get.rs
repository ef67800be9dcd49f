//! Takes little-endian integers and texts off bytes, and says `None` at their end.

use crate::wire::MAX_NAME;

/// Bytes that are being read.
pub(crate) struct Get<'b> {
    rest: &'b [u8],
    /// Whether something was read that this version does not know, and passed over.
    pub(crate) strange: bool,
}

impl<'b> Get<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self {
            rest: bytes,
            strange: false,
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }
    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
    /// A name, of at most 256 bytes: it is repeated for each element of an array, or for each VM that was created in a lane.
    pub(crate) fn name(&mut self) -> Option<String> {
        self.text().filter(|name| name.len() <= MAX_NAME)
    }

    /// A text. Bytes that are not UTF-8 are replaced: a name is for people.
    pub(crate) fn text(&mut self) -> Option<String> {
        let length = usize::from(self.u16()?);
        Some(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}
