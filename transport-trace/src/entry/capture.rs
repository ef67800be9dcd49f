//! The arguments of a call as a recorder would record them.

use std::boxed::Box;
use std::vec::Vec;

use hypercall_core::SharedRef;
use hypercall_core::arg::{Arg, Linked, Target as ArgTarget};
use hypercall_core::call::Direction;

use super::{After, Argument, Block, Link, Target};

/// The arguments of a call that is about to be made, as the recorder would record them: addresses left out, `after`
/// [unfinished](After::Unfinished).
#[must_use]
pub fn capture(args: &[Arg<'_>; 2]) -> [Argument; 2] {
    let [first, second] = args;
    [capture_one(first), capture_one(second)]
}

fn block(direction: Direction, bytes: &[u8]) -> Block {
    Block {
        direction,
        before: match direction {
            Direction::Write => Vec::new(),
            Direction::Read | Direction::ReadWrite => bytes.to_vec(),
        },
        after: After::Unfinished,
        length: bytes.len(),
        link: None,
    }
}

fn capture_one(argument: &Arg<'_>) -> Argument {
    match argument {
        Arg::None => Argument::Unused,
        Arg::Value(value) => Argument::Value(*value),
        Arg::Read(bytes) => Argument::Block(block(Direction::Read, bytes)),
        Arg::Write(bytes) => Argument::Block(block(Direction::Write, bytes)),
        Arg::ReadWrite(bytes) => Argument::Block(block(Direction::ReadWrite, bytes)),
        Arg::Linked(Linked {
            header,
            offset,
            target,
        }) => {
            let mut header = block(Direction::Read, header);
            header
                .before
                .iter_mut()
                .skip(*offset)
                .take(8)
                .for_each(|byte| *byte = 0);
            header.link = Some(Link {
                offset: *offset,
                target: match target {
                    ArgTarget::Read(bytes) => {
                        Target::Block(Box::new(block(Direction::Read, bytes)))
                    }
                    ArgTarget::ReadWrite(bytes) => {
                        Target::Block(Box::new(block(Direction::ReadWrite, bytes)))
                    }
                    ArgTarget::Shared(SharedRef::Pages(pages)) => Target::Pages {
                        count: u32::try_from(pages.len()).unwrap_or(u32::MAX),
                        page: None,
                    },
                    ArgTarget::Shared(SharedRef::Address(gpa)) => Target::Address(gpa.0),
                },
            });
            Argument::Block(header)
        }
    }
}
