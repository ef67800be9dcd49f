//! What only a guest can know, from the lines that tell it.

use core::ops::Range;

use crate::fake::Access;

use super::op::Op;

/// Offsets in a slot of the request page.
const KIND: Range<usize> = 0..4;
const DIRECTION: Range<usize> = 64..68;
const ADDRESS: Range<usize> = 72..80;
const SIZE: Range<usize> = 80..88;
const VALUE: Range<usize> = 88..96;
/// Bytes of a slot that are looked at.
const SLOT: usize = 96;
/// The state word's offset in a slot.
pub(super) const STATE: u64 = 136;

/// The bytes of a slot that later lines show, before the Service VM writes over them.
pub(super) struct Shown {
    bytes: [Option<u8>; SLOT],
}

impl Shown {
    /// What the lines after a wait for a request say about it, up to the wait for the next request of the slot.
    pub(super) fn after(slot: u64, later: &[(usize, Op)]) -> Self {
        let mut bytes = [None; SLOT];
        let mut overwritten = [false; SLOT];
        for (_, op) in later {
            match op {
                Op::WaitU32 { gpa, value: 0, .. } if *gpa == slot.wrapping_add(STATE) => break,
                Op::Read { gpa, bytes: shown } => {
                    for (at, byte) in offsets(slot, *gpa).zip(shown) {
                        if let Some(at) = at
                            && let (Some(place), Some(false)) =
                                (bytes.get_mut(at), overwritten.get(at))
                        {
                            place.get_or_insert(*byte);
                        }
                    }
                }
                Op::Write { gpa, bytes } => mark(&mut overwritten, slot, *gpa, bytes.len() as u64),
                Op::Fill { gpa, length, .. } => mark(&mut overwritten, slot, *gpa, *length),
                Op::Store32 { gpa, .. } => mark(&mut overwritten, slot, *gpa, 4),
                _ => {}
            }
        }
        Self { bytes }
    }

    /// A field, little-endian; bytes that are not shown count as 0. `None` where none of them is.
    fn field(&self, range: Range<usize>) -> Option<u64> {
        let shown = self.bytes.get(range)?;
        if shown.iter().all(Option::is_none) {
            return None;
        }
        let mut value = [0; 8];
        for (to, from) in value.iter_mut().zip(shown) {
            *to = from.unwrap_or(0);
        }
        Some(u64::from_le_bytes(value))
    }

    /// The access that makes such a request, and the offsets that were taken for it. A field that no line shows does
    /// not matter to any line: it gets a value that ACRN would use. `None` for what no guest can do.
    pub(super) fn access(&self) -> Option<(Access, [Range<usize>; 5])> {
        let kind = self.field(KIND).unwrap_or(0);
        let address = self.field(ADDRESS).unwrap_or(0);
        let size = u8::try_from(self.field(SIZE).unwrap_or(4)).ok()?;
        let port = u16::try_from(address);
        let value = self.field(VALUE).unwrap_or(0);
        let read = match self.field(DIRECTION) {
            Some(0) => true,
            Some(1) | None => false,
            Some(_) => return None,
        };
        let access = match (kind, read) {
            (0, true) => Access::PortRead {
                port: port.ok()?,
                size,
            },
            (0, false) => Access::PortWrite {
                port: port.ok()?,
                size,
                value: u32::try_from(value & 0xffff_ffff).ok()?,
            },
            (1, true) => Access::MemoryRead { address, size },
            (1, false) => Access::MemoryWrite {
                address,
                size,
                value,
            },
            (3, false) => Access::ProtectedWrite {
                address,
                size,
                value,
            },
            _ => return None,
        };
        // A read request's value is the slot's old one: the fake's to know.
        let value = match (read, kind) {
            (true, _) => 0..0,
            (false, 0) => VALUE.start..VALUE.start.saturating_add(4),
            (false, _) => VALUE,
        };
        Some((access, [KIND, DIRECTION, ADDRESS, SIZE, value]))
    }
}

/// Offsets in a slot of the bytes from `gpa` on; `None` for those outside.
fn offsets(slot: u64, gpa: u64) -> impl Iterator<Item = Option<usize>> {
    (0_u64..).map(move |distance| {
        let offset = gpa.wrapping_add(distance).wrapping_sub(slot);
        usize::try_from(offset).ok().filter(|offset| *offset < SLOT)
    })
}

fn mark(overwritten: &mut [bool; SLOT], slot: u64, gpa: u64, length: u64) {
    for (offset, mark) in (0_u64..).zip(overwritten) {
        if slot.wrapping_add(offset).wrapping_sub(gpa) < length {
            *mark = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn read(gpa: u64, bytes: &[u8]) -> (usize, Op) {
        (
            1,
            Op::Read {
                gpa,
                bytes: bytes.to_vec(),
            },
        )
    }

    fn request(direction: u8, address: u64, size: u8, value: u64) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        for (at, field) in [
            (0, u64::from(direction)),
            (8, address),
            (16, u64::from(size)),
            (24, value),
        ] {
            for (to, from) in bytes.iter_mut().skip(at).zip(field.to_le_bytes()) {
                *to = from;
            }
        }
        bytes
    }

    #[test]
    fn a_request_is_told_by_the_reads_after_the_wait() {
        let later = [
            read(0x4000, &[1, 0, 0, 0]),
            read(0x4040, &request(1, 0xd000_0010, 4, 0x1234_5678)),
        ];
        let (access, taken) = Shown::after(0x4000, &later).access().unwrap();
        assert_eq!(
            access,
            Access::MemoryWrite {
                address: 0xd000_0010,
                size: 4,
                value: 0x1234_5678
            }
        );
        assert_eq!(taken.last(), Some(&(88..96)));
    }

    #[test]
    fn an_answer_is_not_a_request() {
        let later = [
            read(0x4040, &request(1, 0x510, 1, 0x42)),
            (
                2,
                Op::Store32 {
                    gpa: 0x4058,
                    value: 7,
                },
            ),
            read(0x4058, &[7, 0, 0, 0]),
        ];
        let (access, _) = Shown::after(0x4000, &later).access().unwrap();
        assert_eq!(
            access,
            Access::PortWrite {
                port: 0x510,
                size: 1,
                value: 0x42
            }
        );
        let late = [
            (
                2,
                Op::Store32 {
                    gpa: 0x4058,
                    value: 7,
                },
            ),
            read(0x4040, &request(1, 0x510, 1, 7)),
        ];
        let (access, _) = Shown::after(0x4000, &late).access().unwrap();
        assert_eq!(
            access,
            Access::PortWrite {
                port: 0x510,
                size: 1,
                value: 0
            }
        );
    }

    #[test]
    fn the_next_request_is_another_one() {
        let later = [
            (
                2,
                Op::WaitU32 {
                    gpa: 0x4088,
                    value: 0,
                    met: true,
                },
            ),
            read(0x4040, &request(0, 0x510, 1, 0x42)),
        ];
        let (access, _) = Shown::after(0x4000, &later).access().unwrap();
        assert_eq!(
            access,
            Access::PortWrite {
                port: 0,
                size: 4,
                value: 0
            }
        );
    }

    #[test]
    fn no_guest_can_do_everything() {
        let later = [read(0x4000, &[2, 0, 0, 0])];
        assert!(Shown::after(0x4000, &later).access().is_none());
        let later = [read(0x4040, &request(1, 0x1_0000, 4, 0))];
        assert!(Shown::after(0x4000, &later).access().is_none());
    }
}
