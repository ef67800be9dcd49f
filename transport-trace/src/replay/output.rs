//! Writes what a recorded call wrote into the live call's memory, with the live names in place of the recorded ones.

use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::Direction;

use super::bind::{Bindings, Seen, Space};
use super::leaf::{each_in_block, place_of, unsigned};
use crate::entry::{After, Block, Call, Place};

/// Writes the output of a recorded call.
pub(crate) fn write(call: &Call, args: &mut [Arg<'_>; 2], bindings: &mut Bindings, seen: &Seen) {
    for (number, arg) in args.iter_mut().enumerate() {
        let (place, memory) = match arg {
            Arg::Write(bytes) | Arg::ReadWrite(bytes) => (place_of(number, false), &mut **bytes),
            Arg::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) => (place_of(number, true), &mut **bytes),
            _ => continue,
        };
        if let Some(block) = call.block(place) {
            one(call, place, block, memory, bindings, seen);
        }
    }
}

fn one(
    call: &Call,
    place: Place,
    block: &Block,
    memory: &mut [u8],
    bindings: &mut Bindings,
    seen: &Seen,
) {
    // What the hypervisor did not write stays as it is.
    let After::Changed(after) = &block.after else {
        return;
    };
    let before = block.before_bytes();
    let mut bytes = after.clone();
    each_in_block(call.schema.as_deref(), place, after.len(), &mut |leaf| {
        let Some(value) = leaf.of_mut(&mut bytes) else {
            return;
        };
        if block.direction == Direction::ReadWrite && leaf.of(&before) == Some(&*value) {
            // What the hypervisor left alone stays the program's own: a secret of which the trace has a hash, a value that is
            // not compared.
            if let Some(own) = leaf.of(memory) {
                value.copy_from_slice(own);
            }
        } else if let Some(space) = Space::of(&leaf) {
            let live = bindings.hand_out(&space, unsigned(value), leaf.size, seen);
            for (byte, live) in value.iter_mut().zip(live.to_le_bytes()) {
                *byte = live;
            }
        }
    });
    for (byte, value) in memory.iter_mut().zip(bytes) {
        *byte = value;
    }
}
