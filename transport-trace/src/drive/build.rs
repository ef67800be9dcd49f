//! Builds a live call of a recorded one, and makes it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use hypercall_core::arg::{Arg, Linked, Target as ArgTarget};
use hypercall_core::call::{CallInfo, Direction};
use hypercall_core::schema::Role;
use hypercall_core::{Gpa, SharedPage, SharedRef, Transport};

use super::pool::Pool;
use super::report::WhyNotMade;
use crate::entry::{After, Argument, Block, Call, Link, Outcome, Target, capture};
use crate::replay::bind::{Bindings, Space};
use crate::replay::leaf::{Leaf, Path, each_in_block, each_in_register, place_of, unsigned};

/// A way of an address: from the recorded one to the one that goes out.
type Map<'m> = &'m dyn Fn(u64) -> u64;

/// The live pages that stand for recorded ones.
pub(super) struct Build {
    pages: BTreeMap<(String, u32), Stands>,
    /// Pages that were allocated.
    pub(super) pool: Pool,
}

/// Pages that one call hands over at most, as many as a buffer of ACRN's may have.
const MAX_HANDED: usize = 1024;

/// What stands for a watched page.
#[derive(Clone, Copy)]
struct Stands {
    /// The page, and those that follow it.
    pages: &'static [SharedPage],
    /// It was given, or handed over: no other can take its place.
    stays: bool,
}

/// The live memory of one argument.
enum Live {
    None,
    Value(u64),
    Block {
        direction: Direction,
        bytes: Vec<u8>,
        link: Option<LiveLink>,
    },
}

struct LiveLink {
    offset: usize,
    target: LiveTarget,
}

enum LiveTarget {
    Block {
        direction: Direction,
        bytes: Vec<u8>,
    },
    Shared(SharedRef),
}

impl Live {
    fn arg(&mut self) -> Arg<'_> {
        match self {
            Self::None => Arg::None,
            Self::Value(value) => Arg::Value(*value),
            Self::Block {
                bytes,
                link: Some(LiveLink { offset, target }),
                ..
            } => Arg::Linked(Linked {
                header: bytes,
                offset: *offset,
                target: match target {
                    LiveTarget::Shared(shared) => ArgTarget::Shared(*shared),
                    LiveTarget::Block {
                        direction: Direction::Read,
                        bytes,
                    } => ArgTarget::Read(bytes),
                    LiveTarget::Block { bytes, .. } => ArgTarget::ReadWrite(bytes),
                },
            }),
            Self::Block {
                direction: Direction::Read,
                bytes,
                ..
            } => Arg::Read(bytes),
            Self::Block {
                direction: Direction::Write,
                bytes,
                ..
            } => Arg::Write(bytes),
            Self::Block {
                direction: Direction::ReadWrite,
                bytes,
                ..
            } => Arg::ReadWrite(bytes),
        }
    }
}

impl Build {
    /// With these pages, and what was allocated before.
    pub(super) fn new(pages: &BTreeMap<(String, u32), &'static SharedPage>, pool: Pool) -> Self {
        let given = |page: &&'static SharedPage| Stands {
            pages: core::slice::from_ref(*page),
            stays: true,
        };
        Self {
            pages: pages
                .iter()
                .map(|(key, page)| (key.clone(), given(page)))
                .collect(),
            pool,
        }
    }

    /// The live page that stands for a watched one. `None` where there are too many.
    pub(super) fn page(&mut self, lane: &str, number: u32) -> Option<&'static SharedPage> {
        let key = (lane.to_owned(), number);
        if let Some(stands) = self.pages.get(&key) {
            return stands.pages.first();
        }
        let pages = self.several(1)?;
        let stays = false;
        self.pages.insert(key, Stands { pages, stays });
        pages.first()
    }

    /// The pages that a call hands over of which the first one is watched.
    fn handed(
        &mut self,
        lane: &str,
        number: u32,
        count: u32,
    ) -> Result<&'static [SharedPage], WhyNotMade> {
        let wanted = usize::try_from(count).unwrap_or(MAX_HANDED).min(MAX_HANDED);
        if wanted == 0 {
            // Nobody has the page by this: those that follow it can still be found.
            return Ok(&[]);
        }
        let page = self.page(lane, number).ok_or(WhyNotMade::TooManyPages)?;
        let there = self.pages.get(&(lane.to_owned(), number)).copied();
        let pages = match there {
            Some(there) if wanted <= there.pages.len() => {
                there.pages.get(..wanted).unwrap_or_default()
            }
            Some(there) if there.stays => return Err(WhyNotMade::PagesApart),
            _ => {
                let new = self.several(count).ok_or(WhyNotMade::TooManyPages)?;
                // What was written until now.
                for (from, to) in page
                    .words()
                    .iter()
                    .zip(new.iter().flat_map(SharedPage::words))
                {
                    to.store(from.load(Ordering::Acquire), Ordering::Release);
                }
                new
            }
        };
        // One that handed over fewer than there are does not make the others go.
        let all = there
            .map(|there| there.pages)
            .filter(|all| all.len() > pages.len());
        let stands = Stands {
            pages: all.unwrap_or(pages),
            stays: true,
        };
        self.pages.insert((lane.to_owned(), number), stands);
        Ok(pages)
    }

    /// Pages that follow each other, for a hypervisor to keep.
    fn several(&mut self, count: u32) -> Option<&'static [SharedPage]> {
        let count = usize::try_from(count).unwrap_or(MAX_HANDED).min(MAX_HANDED);
        self.pool.take(count)
    }

    /// Makes a call as it was recorded, with live names and addresses. Returns it with its live answer, or says why the pages that
    /// it hands over are not there.
    pub(super) fn make(
        &mut self,
        lane: &str,
        call: &Call,
        info: &'static CallInfo,
        bindings: &Bindings,
        map: Option<Map<'_>>,
        transport: &(impl Transport + ?Sized),
    ) -> Result<Call, WhyNotMade> {
        let mut renamed = call.clone();
        rename(&mut renamed, bindings, map);
        let [first, second] = &renamed.args;
        let (mut rdi, mut rsi) = (self.live(lane, first)?, self.live(lane, second)?);
        let before = capture(&[rdi.arg(), rsi.arg()]);
        let answer = transport.call(info, [rdi.arg(), rsi.arg()]);
        let after = capture(&[rdi.arg(), rsi.arg()]);
        let mut live = Call {
            args: before,
            outcome: match answer {
                Ok(rax) => Outcome::Returned(rax),
                Err(error) => Outcome::Failed(error.into()),
            },
            ..renamed
        };
        for ((before, after), memory) in live.args.iter_mut().zip(after).zip([&rdi, &rsi]) {
            finish(before, after, memory);
        }
        Ok(live)
    }

    fn live(&mut self, lane: &str, argument: &Argument) -> Result<Live, WhyNotMade> {
        let block = match argument {
            Argument::Unused => return Ok(Live::None),
            Argument::Value(value) => return Ok(Live::Value(*value)),
            Argument::Block(block) => block,
        };
        let bytes = |block: &Block| block.before_bytes().into_owned();
        let link = match &block.link {
            None => None,
            Some(Link { offset, target }) => Some(LiveLink {
                offset: *offset,
                target: match target {
                    Target::Block(nested) => LiveTarget::Block {
                        direction: nested.direction,
                        bytes: bytes(nested),
                    },
                    Target::Address(gpa) => LiveTarget::Shared(SharedRef::Address(Gpa(*gpa))),
                    Target::Pages {
                        count,
                        page: Some(page),
                    } => LiveTarget::Shared(SharedRef::Pages(self.handed(lane, *page, *count)?)),
                    Target::Pages { count, page: None } => {
                        let pages = self.several(*count).ok_or(WhyNotMade::TooManyPages)?;
                        LiveTarget::Shared(SharedRef::Pages(pages))
                    }
                },
            }),
        };
        Ok(Live::Block {
            direction: block.direction,
            bytes: bytes(block),
            link,
        })
    }
}

/// Puts the live names and addresses in place of the recorded ones.
fn rename(call: &mut Call, bindings: &Bindings, map: Option<Map<'_>>) {
    let live = |space: &Space, role: Role, value: u64| {
        // An address that came from this hypervisor is its own; others are mapped.
        match bindings.found(space, value) {
            Some(found) if found != value => found,
            _ if role == Role::Address => map.map_or(value, |map| map(value)),
            _ => value,
        }
    };
    let one = |leaf: &Leaf<'_, Path<'_>>, bytes: &mut [u8]| {
        if let (Some(space), Some(bytes)) = (Space::of(leaf), leaf.of_mut(bytes)) {
            let value = live(&space, leaf.role, unsigned(bytes));
            for (byte, new) in bytes.iter_mut().zip(value.to_le_bytes()) {
                *byte = new;
            }
        }
    };
    let schema = call.schema.clone();
    let schema = schema.as_deref();
    for (number, argument) in call.args.iter_mut().enumerate() {
        match argument {
            Argument::Unused => {}
            Argument::Value(value) => {
                let mut bytes = value.to_le_bytes();
                each_in_register(schema, number, &mut |leaf| one(&leaf, &mut bytes));
                *value = u64::from_le_bytes(bytes);
            }
            Argument::Block(block) => {
                let all = |block: &mut Block, nested| {
                    let (place, length) = (place_of(number, nested), block.length);
                    each_in_block(schema, place, length, &mut |leaf| {
                        one(&leaf, &mut block.before);
                    });
                };
                all(block, false);
                match &mut block.link {
                    Some(Link {
                        target: Target::Block(nested),
                        ..
                    }) => all(nested, true),
                    Some(Link {
                        target: Target::Address(gpa),
                        ..
                    }) => {
                        *gpa = live(&Space::gpa(), Role::Address, *gpa);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Puts what came out into the captured argument.
fn finish(before: &mut Argument, after: Argument, memory: &Live) {
    let (Argument::Block(block), Argument::Block(after)) = (before, after) else {
        return;
    };
    let Live::Block { bytes, link, .. } = memory else {
        return;
    };
    let changed = |block: &mut Block, after: &Block, bytes: &[u8]| {
        let now = match block.direction {
            Direction::Write => bytes,
            _ => &after.before,
        };
        let same = *block.before_bytes() == *now;
        block.after = if same {
            After::Unchanged
        } else {
            After::Changed(now.to_vec())
        };
    };
    if let (
        Some(Link {
            target: Target::Block(nested),
            ..
        }),
        Some(Link {
            target: Target::Block(nested_after),
            ..
        }),
        Some(LiveLink {
            target: LiveTarget::Block { bytes, .. },
            ..
        }),
    ) = (&mut block.link, &after.link, link)
    {
        changed(nested, nested_after, bytes);
    }
    changed(block, &after, bytes);
}
