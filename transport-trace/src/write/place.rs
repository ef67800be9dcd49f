//! The record of an entry, and where it goes: which lane, which index, what time.

use std::vec::Vec;

use super::encode::{encode_call, encode_lost, encode_pages, whole};
use crate::entry::{Call, Entry, Lost, When};
use crate::format::record::kind;
use crate::format::{UNKNOWN_CALL, u16_at, u64_at};

/// A record, and where it goes.
pub(super) struct Record {
    pub(super) lane: u32,
    /// The index of its lane's call at which it stands, where that is a number.
    pub(super) index: Option<u64>,
    /// How many indices it takes.
    pub(super) indices: u64,
    /// Its time; 0 where it has none.
    pub(super) ticks: u64,
    /// The id of a call.
    pub(super) call: Option<u16>,
    pub(super) bytes: Vec<u8>,
}

impl Record {
    /// That of an entry. `None` where there is none: of a damaged stretch, and of what cannot be expressed.
    pub(super) fn of(entry: &Entry, id: impl FnOnce(&Call) -> Option<u16>) -> Option<Self> {
        Some(match entry {
            Entry::Call(call) => {
                let id = id(call).unwrap_or(UNKNOWN_CALL);
                Self {
                    lane: call.lane,
                    index: Some(call.index),
                    indices: 1,
                    ticks: call.enter,
                    call: Some(id),
                    bytes: encode_call(call, id)?,
                }
            }
            Entry::Lost(lost) => Self::lost(lost),
            Entry::Pages(pages) => Self {
                lane: pages.lane,
                index: match pages.when {
                    When::Exit => pages.index.checked_add(1),
                    When::Enter | When::Note => Some(pages.index),
                },
                indices: 0,
                ticks: pages.ticks,
                call: None,
                bytes: encode_pages(pages)?,
            },
            Entry::Unknown(unknown) => {
                let is_call = unknown.kind < kind::OTHERS;
                Self {
                    lane: unknown.lane,
                    index: Some(unknown.index),
                    indices: u64::from(is_call),
                    ticks: u64_at(&unknown.bytes, 8),
                    call: is_call.then(|| u16_at(&unknown.bytes, 40)),
                    bytes: whole(&unknown.bytes)?,
                }
            }
            Entry::Damaged(_) => return None,
        })
    }

    /// That of a loss.
    pub(super) fn lost(lost: &Lost) -> Self {
        Self {
            lane: lost.lane,
            index: Some(lost.index),
            indices: lost.count,
            ticks: lost.first,
            call: None,
            bytes: encode_lost(lost),
        }
    }
}
