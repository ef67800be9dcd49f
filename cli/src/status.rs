//! The exit statuses. They are stable: a script may rely on them.

use std::process::ExitCode;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done, and nothing was found. Also when the reader of a pipe went away.
    Done,
    /// Done, and there is a finding: a difference, a divergence, a broken rule, damage that `verify` found.
    Found,
    /// The command line is wrong.
    Usage,
    /// The input cannot be used at all.
    Input,
    /// Done as far as possible: parts of the input could not be read, or calls not be made again. The error output says how much.
    Partly,
    /// The output could not be written.
    Output,
}

impl Status {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Found,
        Self::Usage,
        Self::Input,
        Self::Partly,
        Self::Output,
    ];

    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Partly => 4,
            Self::Output => 5,
        }
    }

    /// What it means, for the table in the help.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, nothing found (also when the reader of a pipe went away)",
            Self::Found => "found: a difference, a divergence, a broken rule, damage (by verify)",
            Self::Usage => "the command line is wrong",
            Self::Input => "the input cannot be used: not there, not a trace, a newer format",
            Self::Partly => {
                "done, but parts of the input could not be read or replayed; stderr says how much"
            }
            Self::Output => "the output could not be written",
        }
    }

    /// The table for the help.
    #[must_use]
    pub fn table() -> String {
        let mut text = String::from("Exit status:\n");
        for status in Self::ALL {
            text.push_str(&format!("  {}  {}\n", status.code(), status.meaning()));
        }
        text
    }

    /// This one, or what damage in the input makes of it.
    #[must_use]
    pub const fn or_partly(self, damaged: bool) -> Self {
        match self {
            Self::Done if damaged => Self::Partly,
            status => status,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
}
