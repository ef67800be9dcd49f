//! What ends a run: the cause, where in the file, and what to do.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use hypercall_trace::read::OpenError;
use miette::Diagnostic;
use thiserror::Error;

use crate::args::Colour;
use crate::status::Status;

/// Why a run ended early.
#[derive(Debug, Error, Diagnostic)]
#[non_exhaustive]
pub enum Failure {
    /// A trace cannot be opened.
    #[error("{}", opened(path, error))]
    #[diagnostic(code(hcall::input))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        error: OpenError,
        /// What to do.
        #[help]
        help: &'static str,
    },
    /// A file cannot be read.
    #[error("{}: cannot be read: {error}", path.display())]
    #[diagnostic(
        code(hcall::input),
        help("check that the file is there and that you may read it")
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A line of a text file is not what it should be.
    #[error("{}: line {line}, at byte {offset}: {cause}", path.display())]
    #[diagnostic(code(hcall::import))]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Bytes from the start of the file to the line's.
        offset: u64,
        /// What is wrong with it.
        cause: String,
        /// What to do.
        #[help]
        help: &'static str,
    },
    /// What was asked for is not in the input, or cannot be done with it.
    #[error("{what}")]
    #[diagnostic(code(hcall::input))]
    Input {
        /// What is wrong.
        what: String,
        /// What to do.
        #[help]
        help: String,
    },
    /// An argument has a value that nothing can be done with.
    #[error("{what}")]
    #[diagnostic(code(hcall::usage))]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        #[help]
        help: String,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {error}", path.display())]
    #[diagnostic(
        code(hcall::output),
        help(
            "check the folder, your rights there and the space that is left; the input is unchanged"
        )
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The standard output cannot be written.
    #[error("the output cannot be written: {0}")]
    #[diagnostic(
        code(hcall::output),
        help("check where the output goes, and the space that is left there")
    )]
    Output(#[from] io::Error),
}

/// What opening says, with the file's name once.
fn opened(path: &Path, error: &OpenError) -> String {
    match error {
        OpenError::NotFound(_) => error.to_string(),
        _ => format!("{}: {error}", path.display()),
    }
}

impl Failure {
    pub(crate) fn open(path: &Path, error: OpenError) -> Self {
        let help = match &error {
            OpenError::NotFound(_) => {
                "check the name; `hcall demo` records a trace to try things on"
            }
            OpenError::Io(_) => "check that it is a file and that you may read it",
            OpenError::Empty | OpenError::CutHeader(_) => {
                "a killed recording may still be in its rings: see `hcall recover --help`"
            }
            OpenError::NewerMajor { .. } => {
                "use an hcall that is as new as the one that recorded it"
            }
            _ => {
                "hcall reads traces made by hypercall-trace; for JSON lines see `hcall import --help`"
            }
        };
        Self::Open {
            path: path.into(),
            error,
            help,
        }
    }

    pub(crate) fn input(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Input {
            what: what.into(),
            help: help.into(),
        }
    }

    pub(crate) fn usage(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::Usage {
            what: what.into(),
            help: help.into(),
        }
    }

    /// Whether it is only that nobody reads the output any more.
    #[must_use]
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// The exit status.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Open { .. } | Self::Read { .. } | Self::Line { .. } | Self::Input { .. } => {
                Status::Input
            }
            Self::Usage { .. } => Status::Usage,
            Self::Write { .. } | Self::Output(_) => Status::Output,
        }
    }
}

/// Errors look as the user wants colours to be.
pub(crate) fn set_up(colour: Colour) {
    let stderr = std::io::stderr();
    let (colours, terminal) = (colour.on(&stderr), stderr.is_terminal());
    // A second handler is refused, which does not matter: the first one is the same.
    let _ = miette::set_hook(Box::new(move |_| {
        let options = miette::MietteHandlerOpts::new()
            .color(colours)
            .terminal_links(false);
        // A line stays a line for who reads it by a program.
        Box::new(options.wrap_lines(terminal).break_words(false).build())
    }));
}
