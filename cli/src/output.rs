//! Where text goes: the standard output with or without colours, files, and a progress bar while it takes long.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, StdoutLock, Write};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::Colour;
use crate::failure::Failure;
use crate::format::Paint;

/// The standard output, buffered.
pub(crate) struct Output {
    to: BufWriter<StdoutLock<'static>>,
    /// How parts of the text look.
    pub(crate) paint: Paint,
}

impl Output {
    pub(crate) fn new(colour: Colour) -> Self {
        let stdout: Stdout = io::stdout();
        let paint = Paint::new(colour.on(&stdout));
        Self {
            to: BufWriter::with_capacity(1 << 16, stdout.lock()),
            paint,
        }
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.to.write_all(text.as_bytes())?)
    }

    /// Writes text and a line's end.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.to.write_all(text.as_bytes())?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, value).map_err(io::Error::from)?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Writes a value as indented JSON.
    pub(crate) fn pretty(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer_pretty(&mut self.to, value).map_err(io::Error::from)?;
        Ok(self.to.write_all(b"\n")?)
    }

    /// Everything up to here is seen by who reads. Every subcommand ends with it.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Writes a line to the error output. Where nobody reads it, there is nobody to tell.
macro_rules! tell {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($text)*);
    }};
}
pub(crate) use tell;

/// Whether two names are of one file.
fn same(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => false,
    }
}

/// Creates a file for output. One that is there is not overwritten unless that was asked for, and the input never.
pub(crate) fn create(path: &Path, force: bool, input: Option<&Path>) -> Result<File, Failure> {
    if input.is_some_and(|input| same(input, path)) {
        return Err(Failure::usage(
            format!("{} is the input", path.display()),
            "name another file for the output",
        ));
    }
    let mut options = File::options();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            Failure::usage(
                format!("{} is there already", path.display()),
                "name another file, or overwrite it with --force",
            )
        } else {
            Failure::Write {
                path: path.into(),
                error,
            }
        }
    })
}

/// A bar on the error output, only on a terminal, for work that takes longer than a moment.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(total).with_message(what);
        if let Ok(style) =
            ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} % {eta} left")
        {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }

    /// A bar for work whose output is not on the same terminal.
    pub(crate) fn unless_shown(what: &'static str, total: u64) -> Self {
        if io::stdout().is_terminal() {
            Self(ProgressBar::hidden())
        } else {
            Self::new(what, total)
        }
    }

    /// This much is done. Cheap enough to be called for every entry.
    #[inline]
    pub(crate) fn at(&self, position: u64) {
        if position.is_multiple_of(4096) {
            self.0.set_position(position);
        }
    }

    /// So many bytes are done.
    pub(crate) fn bytes(&self, position: u64) {
        self.0.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
