//! In what two traces differ.

use std::fmt;

use serde::Serialize;

use crate::plural::calls_are;
use crate::replay::{FieldDifference, Line};

/// One thing in which two traces differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Difference {
    /// A call is in both, with other values.
    Changed {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
        /// The call in the first trace.
        left: Line,
        /// The call in the second trace.
        right: Line,
        /// The values: expected are the first trace's, found the second's.
        differences: Vec<FieldDifference>,
    },
    /// Other changes of shared pages are behind a lane's last call.
    PagesBehind {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
        /// The words: expected are the first trace's, found the second's.
        differences: Vec<FieldDifference>,
    },
    /// A call is in the first trace only.
    OnlyLeft {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
        /// The call.
        call: Line,
    },
    /// A call is in the second trace only.
    OnlyRight {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
        /// The call.
        call: Line,
    },
    /// Calls are missing from a trace: what was made of them is not known.
    Missing {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
        /// Whether they are missing from the first trace.
        left: bool,
        /// The index of the first of them, where it is known.
        index: u64,
        /// How many; `None` where nobody knows.
        count: Option<u64>,
        /// Why.
        why: String,
    },
    /// Calls are missing from a trace, of whichever lanes: what stood there says nothing any more.
    MissingAnywhere {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// Whether they are missing from the first trace.
        left: bool,
        /// Where in the file, in bytes.
        offset: u64,
        /// How many; `None` where nobody knows.
        count: Option<u64>,
        /// Why.
        why: String,
    },
    /// A lane is in the first trace only.
    LaneOnlyLeft {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
    },
    /// A lane is in the second trace only.
    LaneOnlyRight {
        /// Of traces that were joined from several recordings, which one.
        #[serde(skip_serializing_if = "Option::is_none")]
        recording: Option<u32>,
        /// The lane.
        lane: String,
    },
    /// The first trace was joined from more recordings than the second: these are not compared.
    RecordingsOnlyLeft {
        /// The first of them.
        first: u32,
        /// The last of them.
        last: u32,
    },
    /// The second trace was joined from more recordings than the first: these are not compared.
    RecordingsOnlyRight {
        /// The first of them.
        first: u32,
        /// The last of them.
        last: u32,
    },
}

impl Difference {
    /// The recording that it is in, of traces that were joined from several.
    #[must_use]
    pub const fn recording(&self) -> Option<u32> {
        match self {
            Self::Changed { recording, .. }
            | Self::PagesBehind { recording, .. }
            | Self::OnlyLeft { recording, .. }
            | Self::OnlyRight { recording, .. }
            | Self::Missing { recording, .. }
            | Self::MissingAnywhere { recording, .. }
            | Self::LaneOnlyLeft { recording, .. }
            | Self::LaneOnlyRight { recording, .. } => *recording,
            Self::RecordingsOnlyLeft { .. } | Self::RecordingsOnlyRight { .. } => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recording = self.recording();
        let of = recording.map_or_else(String::new, |number| format!(" of recording {number}"));
        let side = |left: &bool| if *left { "first" } else { "second" };
        match self {
            Self::Changed {
                lane,
                left,
                right,
                differences,
                ..
            } => {
                write!(f, "~ {lane}#{}", left.index)?;
                if left.index != right.index {
                    write!(f, "/#{}", right.index)?;
                }
                write!(f, "{of}  {}", left.text)?;
                for difference in differences {
                    write!(f, "\n      {difference}")?;
                }
                Ok(())
            }
            Self::PagesBehind {
                lane, differences, ..
            } => {
                write!(f, "~ {lane}{of}  shared pages behind the last call")?;
                for difference in differences {
                    write!(f, "\n      {difference}")?;
                }
                Ok(())
            }
            Self::OnlyLeft { lane, call, .. } => {
                write!(f, "- {lane}#{}{of}  {}", call.index, call.text)
            }
            Self::OnlyRight { lane, call, .. } => {
                write!(f, "+ {lane}#{}{of}  {}", call.index, call.text)
            }
            Self::Missing {
                lane,
                left,
                index,
                count,
                why,
                ..
            } => {
                let side = side(left);
                if *count == Some(0) {
                    return write!(
                        f,
                        "? {lane}#{index}{of}  not compared in the {side} trace: {why}"
                    );
                }
                let missing = calls_are(*count);
                write!(
                    f,
                    "? {lane}#{index}{of}  {missing} missing from the {side} trace ({why})"
                )
            }
            Self::MissingAnywhere {
                left,
                offset,
                count,
                why,
                ..
            } => {
                let (side, missing) = (side(left), calls_are(*count));
                write!(
                    f,
                    "? {missing} missing from the {side} trace, of whichever lanes{of}, at byte {offset} ({why})"
                )
            }
            Self::LaneOnlyLeft { lane, .. } => {
                write!(f, "- lane {lane}{of} is in the first trace only")
            }
            Self::LaneOnlyRight { lane, .. } => {
                write!(f, "+ lane {lane}{of} is in the second trace only")
            }
            Self::RecordingsOnlyLeft { first, last } => {
                write!(f, "- {} in the first trace only", recordings(*first, *last))
            }
            Self::RecordingsOnlyRight { first, last } => {
                write!(
                    f,
                    "+ {} in the second trace only",
                    recordings(*first, *last)
                )
            }
        }
    }
}

fn recordings(first: u32, last: u32) -> String {
    if first == last {
        format!("recording {first} is")
    } else {
        format!("recordings {first} to {last} are")
    }
}
