//! The canonical form of a trace: what is left of it when everything is taken away in which two runs of the same program
//! may differ.
//!
//! Times are 0. Lanes stand in the order of their names. Names that the hypervisor gave out, addresses and numbers of
//! watched pages are named by their first appearance; 0 and all ones stay. Counters and clocks (volatile) and reserved
//! fields of answers are 0. Everything else stays as it is: recording a replay gives the same trace in this form.
//!
//! A trace that was joined from several recordings stays joined, and each has names of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use hypercall_core::schema::Role;

use crate::entry::{After, Argument, Block, Call, Entry, Link, Place, Target};
use crate::read::Lane;
use crate::replay::Recorded;
use crate::replay::bind::{Space, is_fixed};
use crate::replay::leaf::{Leaf, each_in_block, each_in_register, place_of, unsigned};
use crate::schema;

/// The canonical form of a trace.
#[must_use]
pub fn canonical(recorded: &Recorded) -> Recorded {
    let mut lanes = recorded.by_lane(false);
    lanes.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    let mut out = Recorded {
        schema: Arc::clone(&recorded.schema),
        ..Recorded::default()
    };
    let mut all = Vec::with_capacity(recorded.entries.len());
    for (lane, new) in lanes.into_iter().zip(0..) {
        let name = lane.name;
        out.lanes.push(Lane { id: new, name });
        let entries = lane.entries.into_iter().zip(lane.places);
        all.extend(entries.map(|(entry, place)| (recorded.recording_of(place), new, entry)));
    }
    // Within a recording, lane by lane.
    all.sort_by_key(|(recording, ..)| *recording);
    let mut names = Names::default();
    let mut last = (0, 0);
    for (recording, lane, entry) in all {
        if last.0 != recording {
            names = Names::default();
            // Those without entries are recordings too.
            let begun = u32::try_from(out.joined.len()).unwrap_or(u32::MAX);
            let at = out.entries.len();
            out.joined.extend((begun..recording).map(|_| at));
        }
        if std::mem::replace(&mut last, (recording, lane)) != (recording, lane) {
            names.pages.clear();
        }
        let mut entry = entry.clone();
        names.entry(&mut entry, lane);
        out.entries.push(entry);
    }
    out.joined.resize(recorded.joined.len(), out.entries.len());
    out
}

/// Names that were given until now.
#[derive(Default)]
struct Names {
    spaces: BTreeMap<Space, BTreeMap<u64, u64>>,
    /// Of the lane.
    pages: BTreeMap<u32, u32>,
}

impl Names {
    fn name(&mut self, space: &Space, value: u64) -> u64 {
        if is_fixed(value) {
            return value;
        }
        let names = self.spaces.entry(space.clone()).or_default();
        let next = u64::try_from(names.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let step = if space.is_handle() { 1 } else { 0x1000 };
        *names
            .entry(value)
            .or_insert_with(|| next.wrapping_mul(step))
    }

    fn page(&mut self, page: u32) -> u32 {
        let next = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        *self.pages.entry(page).or_insert(next)
    }

    fn entry(&mut self, entry: &mut Entry, new_lane: u32) {
        match entry {
            Entry::Call(call) => {
                call.lane = new_lane;
                call.enter = 0;
                call.duration = call.duration.map(|_| 0);
                self.call(call);
            }
            Entry::Lost(lost) => {
                lost.lane = new_lane;
                lost.first = 0;
                lost.last = 0;
            }
            Entry::Pages(change) => {
                change.lane = new_lane;
                change.ticks = 0;
                change.page = self.page(change.page);
            }
            Entry::Damaged(damaged) => damaged.lane = Some(new_lane),
            Entry::Unknown(unknown) => unknown.lane = new_lane,
        }
    }

    fn call(&mut self, call: &mut Call) {
        let described = call.schema.clone();
        let schema = described.as_deref();
        for (number, argument) in call.args.iter_mut().enumerate() {
            match argument {
                Argument::Unused => {}
                Argument::Value(value) => {
                    let mut bytes = value.to_le_bytes();
                    each_in_register(schema, number, &mut |leaf| {
                        self.value(&leaf, &mut bytes, false);
                    });
                    *value = u64::from_le_bytes(bytes);
                }
                Argument::Block(block) => {
                    self.block(schema, place_of(number, false), block);
                    match &mut block.link {
                        Some(Link {
                            target: Target::Block(nested),
                            ..
                        }) => {
                            self.block(schema, place_of(number, true), nested);
                        }
                        Some(Link {
                            target: Target::Address(address),
                            ..
                        }) => {
                            *address = self.name(&Space::gpa(), *address);
                        }
                        Some(Link {
                            target:
                                Target::Pages {
                                    page: Some(page), ..
                                },
                            ..
                        }) => {
                            *page = self.page(*page);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn block(&mut self, schema: Option<&schema::Call>, place: Place, block: &mut Block) {
        each_in_block(schema, place, block.length, &mut |leaf| {
            self.value(&leaf, &mut block.before, false);
        });
        if let After::Changed(bytes) = &mut block.after {
            each_in_block(schema, place, block.length, &mut |leaf| {
                self.value(&leaf, bytes, true);
            });
        }
    }

    fn value<P>(&mut self, leaf: &Leaf<'_, P>, bytes: &mut [u8], coming_out: bool) {
        let Some(bytes) = leaf.of_mut(bytes) else {
            return;
        };
        if let Some(space) = Space::of(leaf) {
            let name = self.name(&space, unsigned(bytes));
            for (byte, new) in bytes.iter_mut().zip(name.to_le_bytes()) {
                *byte = new;
            }
        } else if leaf.role == Role::Volatile || (coming_out && leaf.role == Role::Reserved) {
            bytes.fill(0);
        }
    }
}
