//! Records with their own bytes: entries of views.

use std::sync::Arc;

use super::view::{AfterView, ArgumentView, CallView, MemoryView, OutcomeView, TargetView, View};
use crate::entry::{
    After, Argument, Block, Call, Entry, Failure, Link, Lost, Outcome, PageChange, Run, Target,
    Unknown, When,
};
use crate::format::record::failure;
use crate::schema::Schema;

impl View<'_> {
    /// The same with its own bytes.
    #[must_use]
    pub fn to_entry(&self, lane: u32, index: u64, schema: &Schema) -> Entry {
        match self {
            Self::Call(call) => Entry::Call(call.to_call(lane, index, schema)),
            Self::Lost(lost) => Entry::Lost(Lost {
                lane,
                index,
                count: lost.count,
                cause: lost.cause,
                first: lost.first,
                last: lost.last,
            }),
            Self::Pages(pages) => Entry::Pages(PageChange {
                lane,
                index: match pages.when {
                    // It stands behind the call that it belongs to.
                    When::Exit => index.saturating_sub(1),
                    When::Enter | When::Note => index,
                },
                when: pages.when,
                page: pages.page,
                ticks: pages.ticks,
                look: pages.look,
                late: pages.late,
                runs: pages
                    .runs()
                    .map(|(offset, before, after)| Run {
                        offset,
                        before: before.to_vec(),
                        after: after.to_vec(),
                    })
                    .collect(),
            }),
            Self::Unknown(kind, bytes) => Entry::Unknown(Unknown {
                lane,
                index,
                kind: *kind,
                bytes: bytes.to_vec(),
            }),
        }
    }
}

impl CallView<'_> {
    fn to_call(self, lane: u32, index: u64, schema: &Schema) -> Call {
        let [first, second] = self.args;
        Call {
            lane,
            index,
            schema: schema.call_by_id(self.id).map(Arc::clone),
            number: self.number,
            args: [first.to_argument(), second.to_argument()],
            enter: self.enter,
            duration: self.duration,
            outcome: match self.outcome {
                OutcomeView::Returned(rax) => Outcome::Returned(rax),
                OutcomeView::Failed(code, detail, first, second) => {
                    Outcome::Failed(to_failure(code, detail, first, second))
                }
                OutcomeView::Unfinished => Outcome::Unfinished,
            },
        }
    }
}

impl MemoryView<'_> {
    fn to_block(self) -> Block {
        Block {
            direction: self.direction,
            before: self.before.to_vec(),
            after: match self.after {
                AfterView::Unfinished => After::Unfinished,
                AfterView::Unchanged => After::Unchanged,
                AfterView::Changed(bytes) => After::Changed(bytes.to_vec()),
            },
            length: self.length,
            link: None,
        }
    }
}

impl ArgumentView<'_> {
    fn to_argument(self) -> Argument {
        match self {
            Self::Unused => Argument::Unused,
            Self::Value(value) => Argument::Value(value),
            Self::Block(memory) => Argument::Block(memory.to_block()),
            Self::Linked(memory, link) => {
                let mut block = memory.to_block();
                block.link = Some(Link {
                    offset: link.offset,
                    target: match link.target {
                        TargetView::Memory(memory) => Target::Block(Box::new(memory.to_block())),
                        TargetView::Pages { count, page } => Target::Pages { count, page },
                        TargetView::Address(address) => Target::Address(address),
                    },
                });
                Argument::Block(block)
            }
        }
    }
}

fn to_failure(code: u8, detail: u8, first: &[u8], second: &[u8]) -> Failure {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match code {
        failure::UNTRANSLATABLE => Failure::Untranslatable {
            register: detail & 1,
            nested: detail & 2 != 0,
        },
        failure::LAYER => Failure::Layer {
            layer: text(first),
            reason: text(second),
        },
        failure::CRASHED => Failure::Crashed(text(first)),
        failure::HUNG => Failure::Hung(text(first)),
        failure::FAULT => Failure::Fault(detail),
        failure::UNSUPPORTED => Failure::Unsupported(text(first)),
        failure::UNEXPECTED => Failure::Unexpected(text(first)),
        failure::LOST => Failure::Lost(text(first)),
        code => Failure::Other {
            code,
            detail,
            text: text(first),
            more: text(second),
        },
    }
}
