//! The shared pages that a call hands over.

use hypercall_core::arg::{Arg, Target as ArgTarget};
use hypercall_core::{SharedPage, SharedRef};

use super::tape::Tape;
use crate::entry::{Argument, Block, Call, Link, Target};

/// Puts the numbers of the live pages that a call hands over into its captured arguments.
pub(super) fn name_pages(live: &mut Call, args: &[Arg<'_>; 2], tape: &Tape) {
    for (argument, arg) in live.args.iter_mut().zip(args) {
        if let (
            Argument::Block(Block {
                link:
                    Some(Link {
                        target: Target::Pages { page, .. },
                        ..
                    }),
                ..
            }),
            Some([first, ..]),
        ) = (argument, pages_of(arg))
        {
            *page = tape.pages.number_of(first);
        }
    }
}

fn pages_of(arg: &Arg<'_>) -> Option<&'static [SharedPage]> {
    match arg {
        Arg::Linked(linked) => match linked.target {
            ArgTarget::Shared(SharedRef::Pages(pages)) => Some(pages),
            _ => None,
        },
        _ => None,
    }
}

/// The watched pages that a call hands over, with their numbers as recorded. Of several that follow each other the trace knows the
/// first: the next number is of the page that was watched next, whichever that was.
pub(super) fn handed_over(call: &Call, args: &[Arg<'_>; 2]) -> Vec<(u32, &'static SharedPage)> {
    let mut found = Vec::new();
    for (argument, arg) in call.args.iter().zip(args) {
        if let (
            Argument::Block(Block {
                link:
                    Some(Link {
                        target:
                            Target::Pages {
                                page: Some(page), ..
                            },
                        ..
                    }),
                ..
            }),
            Some([first, ..]),
        ) = (argument, pages_of(arg))
        {
            found.push((*page, first));
        }
    }
    found
}
