//! Colours of the parts of a line.

use anstyle::{AnsiColor, Style};

/// A part of a line that has a look of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A call's name.
    Call,
    /// An argument's or field's name.
    Name,
    /// A lane, an index.
    Place,
    /// A time or a duration.
    Time,
    /// A good answer.
    Good,
    /// An error.
    Bad,
    /// Something that deserves a look: a loss, an unfinished call.
    Notice,
    /// What is said about the rest: a hint, an ellipsis.
    Aside,
    /// A title.
    Title,
}

/// Puts colours around parts, or does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    on: bool,
}

impl Paint {
    /// With colours or without.
    #[must_use]
    pub const fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether there are colours.
    #[must_use]
    pub const fn is_on(self) -> bool {
        self.on
    }

    const fn style(part: Part) -> Style {
        let style = Style::new();
        match part {
            Part::Call => style.bold(),
            Part::Name => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan))),
            Part::Place => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Blue))),
            Part::Time | Part::Aside => style.dimmed(),
            Part::Good => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green))),
            Part::Bad => style
                .fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)))
                .bold(),
            Part::Notice => style.fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow))),
            Part::Title => style.bold().underline(),
        }
    }

    /// Starts a part. Whoever starts one ends it with [`end`](Self::end).
    #[inline]
    pub fn start(self, part: Part, out: &mut String) {
        if self.on {
            Self::put_start(part, out);
        }
    }

    /// Ends a part.
    #[inline]
    pub fn end(self, part: Part, out: &mut String) {
        if self.on {
            Self::put_end(part, out);
        }
    }

    #[cold]
    fn put_start(part: Part, out: &mut String) {
        out.push_str(&Self::style(part).render().to_string());
    }

    #[cold]
    fn put_end(part: Part, out: &mut String) {
        out.push_str(&Self::style(part).render_reset().to_string());
    }

    /// A whole part.
    #[inline]
    pub fn put(self, part: Part, text: &str, out: &mut String) {
        self.start(part, out);
        out.push_str(text);
        self.end(part, out);
    }

    /// A whole part as its own string.
    #[must_use]
    pub fn string(self, part: Part, text: &str) -> String {
        let mut out = String::new();
        self.put(part, text, &mut out);
        out
    }
}
