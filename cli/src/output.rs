//! Where text goes: the standard output with or without colours, and a progress bar while it takes long.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::Colour;
use crate::failure::Failure;
use crate::format::Paint;

/// The standard output, buffered.
pub(crate) struct Output {
    to: BufWriter<Screen>,
    /// How parts of the text look.
    pub(crate) paint: Paint,
}

/// The standard output, and a progress bar that may be on the same terminal.
struct Screen {
    to: StdoutLock<'static>,
    bar: Option<ProgressBar>,
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { to, bar } = self;
        match bar.as_ref().filter(|bar| !bar.is_finished()) {
            Some(bar) => bar.suspend(|| {
                let written = to.write(bytes);
                // Else the terminal gets the last line behind the bar.
                to.flush().and(written)
            }),
            None => to.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl Output {
    pub(crate) fn new(colour: Colour) -> Self {
        let stdout = io::stdout();
        let paint = Paint::new(colour.on(&stdout));
        let screen = Screen {
            to: stdout.lock(),
            bar: None,
        };
        Self {
            to: BufWriter::with_capacity(1 << 16, screen),
            paint,
        }
    }

    /// Keeps what is written apart from a bar on the same terminal.
    pub(crate) fn beside(&mut self, progress: &Progress) {
        self.to.get_mut().bar = progress.bar.clone();
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

    /// Writes a value as JSON, without a line's end.
    pub(crate) fn value(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        Ok(serde_json::to_writer(&mut self.to, value).map_err(io::Error::from)?)
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

/// Whether the standard output is a terminal, a file, or something else such as a pipe to a pager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goes {
    ToTerminal,
    ToFile,
    Elsewhere,
}

fn stdout_goes() -> Goes {
    use std::os::fd::AsFd as _;
    let stdout = io::stdout();
    if stdout.is_terminal() {
        return Goes::ToTerminal;
    }
    let file = stdout.as_fd().try_clone_to_owned().map(File::from);
    match file.and_then(|file| file.metadata()) {
        Ok(data) if data.is_file() => Goes::ToFile,
        _ => Goes::Elsewhere,
    }
}

/// How long work takes before a bar is shown.
const SOON: Duration = Duration::from_millis(400);
/// Steps between two looks at the clock.
const STEPS: u64 = 1024;

/// A bar on the error output, only on a terminal, for work that takes longer than a moment.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// Work of so many steps.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent:>3} % {eta} left");
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_message(what)
        });
        Self {
            bar,
            since: Instant::now(),
        }
    }

    /// Work whose results come out while it goes on. Where they come in quick succession, they show how far it is; and
    /// whoever reads a pipe may be a pager on this terminal.
    pub(crate) fn streaming(what: &'static str, total: u64, rare: bool) -> Self {
        match stdout_goes() {
            Goes::ToFile => Self::new(what, total),
            Goes::ToTerminal if rare => Self::new(what, total),
            Goes::ToTerminal | Goes::Elsewhere => Self::none(),
        }
    }

    /// No bar.
    pub(crate) fn none() -> Self {
        Self {
            bar: None,
            since: Instant::now(),
        }
    }

    /// This much is done. Cheap enough to be called for every entry.
    #[inline]
    pub(crate) fn at(&self, position: u64) {
        if position.is_multiple_of(STEPS) {
            self.now(position);
        }
    }

    /// This much is done: for steps that take a while each.
    pub(crate) fn now(&self, position: u64) {
        if let Some(bar) = &self.bar
            && self.since.elapsed() > SOON
        {
            bar.set_position(position);
        }
    }

    /// Whether there is one.
    pub(crate) const fn is_shown(&self) -> bool {
        self.bar.is_some()
    }

    /// Counts the bytes that go into a sink.
    pub(crate) const fn counting<W>(&self, to: W) -> Counting<'_, W> {
        Counting {
            to,
            done: 0,
            progress: self,
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A sink whose bytes are the progress.
pub(crate) struct Counting<'p, W> {
    to: W,
    done: u64,
    progress: &'p Progress,
}

impl<W> Counting<'_, W> {
    pub(crate) fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Write for Counting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.done = self
            .done
            .saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        self.progress.now(self.done);
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
