//! From entries to their form for JSON, and back.

use hypercall_core::call::Direction;
use hypercall_trace::entry;

use super::{
    After, Argument, Block, Call, Cause, Failure, Hex, Hole, Link, Lost, Outcome, Pages, Run,
    Target, Unknown, Way, When,
};
use crate::format::{hex_text, parse_hex};

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex_text(&hex.0)
    }
}
impl TryFrom<String> for Hex {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_hex(&text)
            .map(Self)
            .ok_or("bytes are an even number of hexadecimal digits")
    }
}
impl Hex {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
impl From<&[u8]> for Hex {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Both directions between an enum here and one of the library's, variant by variant.
macro_rules! same_names {
    ($ours:ident = $theirs:path { $($unit:ident),* $(,)? } $({ $($tuple:ident),* $(,)? })?) => {
        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                type Theirs = $theirs;
                match value {
                    $(Theirs::$unit => Self::$unit,)*
                    $($(Theirs::$tuple(inner) => Self::$tuple(inner),)*)?
                }
            }
        }
        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value {
                    $($ours::$unit => Self::$unit,)*
                    $($($ours::$tuple(inner) => Self::$tuple(inner),)*)?
                }
            }
        }
    };
}
same_names!(
    Way = Direction {
        Read,
        Write,
        ReadWrite
    }
);
same_names!(When = entry::When { Enter, Exit, Note });
same_names!(Cause = entry::LossCause { RingFull, Overwritten, TooLarge, Busy, Sink, Damaged } { Other });

impl Call {
    pub(crate) fn of(call: &entry::Call) -> Self {
        let [first, second] = &call.args;
        Self {
            lane: call.lane,
            duration: call.duration,
            args: [first.into(), second.into()],
            outcome: match &call.outcome {
                entry::Outcome::Returned(rax) => Outcome::Returned(*rax),
                entry::Outcome::Failed(failure) => Outcome::Failed(failure.clone().into()),
                entry::Outcome::Unfinished => Outcome::Unfinished,
            },
        }
    }

    /// The call; what stands outside `raw` is given.
    pub(crate) fn into_entry(
        self,
        schema: Option<std::sync::Arc<hypercall_trace::schema::Call>>,
        number: u64,
        index: u64,
        enter: u64,
    ) -> entry::Call {
        entry::Call {
            lane: self.lane,
            index,
            schema,
            number,
            args: self.args.map(Into::into),
            enter,
            duration: self.duration,
            outcome: match self.outcome {
                Outcome::Returned(rax) => entry::Outcome::Returned(rax),
                Outcome::Failed(failure) => entry::Outcome::Failed(failure.into()),
                Outcome::Unfinished => entry::Outcome::Unfinished,
            },
        }
    }
}

impl From<&entry::Argument> for Argument {
    fn from(argument: &entry::Argument) -> Self {
        match argument {
            entry::Argument::Unused => Self::Unused,
            entry::Argument::Value(value) => Self::Value(*value),
            entry::Argument::Block(block) => Self::Block(Box::new(block.into())),
        }
    }
}
impl From<Argument> for entry::Argument {
    fn from(argument: Argument) -> Self {
        match argument {
            Argument::Unused => Self::Unused,
            Argument::Value(value) => Self::Value(value),
            Argument::Block(block) => Self::Block((*block).into()),
        }
    }
}

impl From<&entry::Block> for Block {
    fn from(block: &entry::Block) -> Self {
        Self {
            direction: block.direction.into(),
            length: block.length,
            before: block.before.as_slice().into(),
            after: match &block.after {
                entry::After::Unfinished => After::Unfinished,
                entry::After::Unchanged => After::Unchanged,
                entry::After::Changed(bytes) => After::Changed(bytes.as_slice().into()),
            },
            link: block.link.as_ref().map(|link| Link {
                offset: link.offset,
                target: match &link.target {
                    entry::Target::Block(block) => Target::Block(Box::new((&**block).into())),
                    entry::Target::Pages { count, page } => Target::Pages {
                        count: *count,
                        page: *page,
                    },
                    entry::Target::Address(address) => Target::Address(*address),
                },
            }),
        }
    }
}
impl From<Block> for entry::Block {
    fn from(block: Block) -> Self {
        Self {
            direction: block.direction.into(),
            before: block.before.0,
            after: match block.after {
                After::Unfinished => entry::After::Unfinished,
                After::Unchanged => entry::After::Unchanged,
                After::Changed(bytes) => entry::After::Changed(bytes.0),
            },
            length: block.length,
            link: block.link.map(|link| entry::Link {
                offset: link.offset,
                target: match link.target {
                    Target::Block(block) => entry::Target::Block(Box::new((*block).into())),
                    Target::Pages { count, page } => entry::Target::Pages { count, page },
                    Target::Address(address) => entry::Target::Address(address),
                },
            }),
        }
    }
}

/// Both directions between the two kinds of failure.
macro_rules! failures {
    ($from:path => $to:path) => {
        impl From<$from> for $to {
            fn from(failure: $from) -> Self {
                type From = $from;
                match failure {
                    From::Untranslatable { register, nested } => {
                        Self::Untranslatable { register, nested }
                    }
                    From::Layer { layer, reason } => Self::Layer { layer, reason },
                    From::Crashed(why) => Self::Crashed(why),
                    From::Hung(why) => Self::Hung(why),
                    From::Fault(vector) => Self::Fault(vector),
                    From::Unsupported(why) => Self::Unsupported(why),
                    From::Unexpected(why) => Self::Unexpected(why),
                    From::Lost(why) => Self::Lost(why),
                    From::Other {
                        code,
                        detail,
                        text,
                        more,
                    } => Self::Other {
                        code,
                        detail,
                        text,
                        more,
                    },
                }
            }
        }
    };
}
failures!(entry::Failure => Failure);
failures!(Failure => entry::Failure);

impl Lost {
    pub(crate) fn of(lost: &entry::Lost, lane: String) -> Self {
        let entry::Lost {
            lane: lane_id,
            index,
            count: _,
            cause,
            first,
            last,
        } = *lost;
        Self {
            lane,
            lane_id,
            index,
            count: lost.how_many(),
            cause: cause.into(),
            first,
            last,
        }
    }
}
impl From<Lost> for entry::Lost {
    fn from(lost: Lost) -> Self {
        let Lost {
            lane_id,
            index,
            count,
            cause,
            first,
            last,
            ..
        } = lost;
        Self {
            lane: lane_id,
            index,
            count: count.unwrap_or(0),
            cause: cause.into(),
            first,
            last,
        }
    }
}

impl Pages {
    pub(crate) fn of(pages: &entry::PageChange, lane: String) -> Self {
        Self {
            lane,
            lane_id: pages.lane,
            index: pages.index,
            when: pages.when.into(),
            page: pages.page,
            ticks: pages.ticks,
            look: pages.look,
            late: pages.late,
            runs: pages
                .runs
                .iter()
                .map(|run| Run {
                    offset: run.offset,
                    before: run.before.as_slice().into(),
                    after: run.after.as_slice().into(),
                })
                .collect(),
        }
    }
}
impl From<Pages> for entry::PageChange {
    fn from(pages: Pages) -> Self {
        Self {
            lane: pages.lane_id,
            index: pages.index,
            when: pages.when.into(),
            page: pages.page,
            ticks: pages.ticks,
            look: pages.look,
            late: pages.late,
            runs: pages
                .runs
                .into_iter()
                .map(|run| entry::Run {
                    offset: run.offset,
                    before: run.before.0,
                    after: run.after.0,
                })
                .collect(),
        }
    }
}

impl Unknown {
    pub(crate) fn of(unknown: &entry::Unknown, lane: String) -> Self {
        Self {
            lane,
            lane_id: unknown.lane,
            index: unknown.index,
            kind: unknown.kind,
            bytes: unknown.bytes.as_slice().into(),
        }
    }
}
impl From<Unknown> for entry::Unknown {
    fn from(unknown: Unknown) -> Self {
        Self {
            lane: unknown.lane_id,
            index: unknown.index,
            kind: unknown.kind,
            bytes: unknown.bytes.0,
        }
    }
}

impl Hole {
    pub(crate) fn of(damaged: &entry::Damaged) -> Self {
        let entry::Damaged {
            offset,
            length,
            defect,
            lane,
            entries,
            index,
            calls,
        } = *damaged;
        Self {
            offset,
            length,
            reason: defect.to_string(),
            lane_id: lane,
            entries,
            index,
            calls,
            unknown: damaged.is_unknown(),
        }
    }
}
impl From<Hole> for entry::Damaged {
    fn from(hole: Hole) -> Self {
        let known = |defect: &&entry::Defect| defect.to_string() == hole.reason;
        Self {
            offset: hole.offset,
            length: hole.length,
            // A newer version may have other reasons. That the bytes could not be read is true of all.
            defect: entry::Defect::ALL
                .iter()
                .find(known)
                .copied()
                .unwrap_or(entry::Defect::Unreadable),
            lane: hole.lane_id,
            entries: hole.entries,
            index: hole.index,
            calls: hole.calls,
        }
    }
}
