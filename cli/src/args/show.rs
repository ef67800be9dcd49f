//! What `show` takes, and the filters.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::format::{Moment, Times, nanoseconds};

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The trace.
    pub(crate) trace: PathBuf,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// One JSON object a line; a call's has the key `call`.
    #[arg(long)]
    pub(crate) json: bool,
    /// With --json: each call also as it was recorded, complete.
    #[arg(long, requires = "json")]
    pub(crate) raw: bool,
    /// Dumps the calls' memory, and what changed in watched pages.
    #[arg(long, conflicts_with = "json")]
    pub(crate) hex: bool,
    /// Everything of every value: fields that are zero, long arrays, long texts.
    #[arg(long)]
    pub(crate) full: bool,
    /// What to check, under each refused call.
    #[arg(long)]
    pub(crate) hints: bool,
    /// How times are shown.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) time: TimeColumn,
    /// In the order of the file, lane by lane, instead of by time.
    #[arg(long)]
    pub(crate) file_order: bool,
    /// Leaves out this many lines at the beginning.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) skip: u64,
    /// Shows this many lines, then stops.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Goes on as the trace grows, until the recording is finished.
    #[arg(short, long, conflicts_with_all = ["skip", "file_order"])]
    pub(crate) follow: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TimeColumn {
    /// Seconds since the trace began.
    #[default]
    Relative,
    /// Seconds since the line before.
    Delta,
    /// Date and time, UTC.
    Utc,
    /// As recorded.
    Ticks,
    /// None.
    None,
}

impl From<TimeColumn> for Times {
    fn from(column: TimeColumn) -> Self {
        match column {
            TimeColumn::Relative => Self::Relative,
            TimeColumn::Delta => Self::Delta,
            TimeColumn::Utc => Self::Utc,
            TimeColumn::Ticks => Self::Ticks,
            TimeColumn::None => Self::None,
        }
    }
}

/// Which calls. Several values of one option are alternatives; several options must all hold.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Filters")]
pub(crate) struct Filter {
    /// Calls of this name, with * for any letters, or of this number; ! before it: all others.
    #[arg(short, long, value_delimiter = ',', value_name = "CALL")]
    pub(crate) call: Vec<String>,
    /// Calls about this VM.
    #[arg(long, value_delimiter = ',', value_name = "ID")]
    pub(crate) vm: Vec<u64>,
    /// Calls of this lane.
    #[arg(short, long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) lane: Vec<String>,
    /// Calls that ended so: ok, error, refused, failed, unfinished, an error's name or its number.
    #[arg(
        short,
        long,
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_name = "RESULT"
    )]
    pub(crate) result: Vec<String>,
    /// Calls that took at least this long: 5us, 2ms, 1.5s. A number without a unit is seconds.
    #[arg(long, value_parser = nanoseconds, value_name = "TIME")]
    pub(crate) slower: Option<u64>,
    /// Calls from this time on: 1.5s after the beginning, or a date such as 2026-03-01T12:00:00Z.
    #[arg(long, value_parser = Moment::parse, value_name = "TIME")]
    pub(crate) since: Option<Moment>,
    /// Calls before this time.
    #[arg(long, value_parser = Moment::parse, value_name = "TIME")]
    pub(crate) until: Option<Moment>,
    /// Lines in which this regular expression is found.
    #[arg(short, long, value_name = "REGEX")]
    pub(crate) grep: Option<regex::Regex>,
}
