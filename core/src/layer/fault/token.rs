//! The words, numbers and signs that a plan is made of.

use winnow::ascii::{digit1, hex_digit1};
use winnow::combinator::{alt, delimited, preceded};
use winnow::error::{AddContext, ErrMode, ParserError};
use winnow::stream::{LocatingSlice, Location, Stream};
use winnow::token::{one_of, take_while};
use winnow::{ModalResult, Parser};

use super::{PlanError, Problem};

pub(super) type Input<'t> = LocatingSlice<&'t str>;
pub(super) type Parsed<T> = ModalResult<T, PlanError>;

/// What a parser that was not told what it stands for expects.
const UNNAMED: Problem = Problem::Expected("something else");

/// Lines are counted when the whole text is at hand again.
const UNCOUNTED: usize = 1;

impl ParserError<Input<'_>> for PlanError {
    type Inner = Self;

    fn from_input(input: &Input<'_>) -> Self {
        Self {
            offset: input.current_token_start(),
            line: UNCOUNTED,
            problem: UNNAMED,
        }
    }

    fn into_inner(self) -> Result<Self, Self> {
        Ok(self)
    }
}

/// The innermost context that names something is kept.
impl<'t> AddContext<Input<'t>, &'static str> for PlanError {
    fn add_context(
        self,
        _: &Input<'t>,
        _: &<Input<'t> as Stream>::Checkpoint,
        expected: &'static str,
    ) -> Self {
        if self.problem == UNNAMED {
            Self {
                problem: Problem::Expected(expected),
                ..self
            }
        } else {
            self
        }
    }
}

/// An error that no alternative can mend.
pub(super) const fn stop(offset: usize, problem: Problem) -> ErrMode<PlanError> {
    ErrMode::Cut(PlanError {
        offset,
        line: UNCOUNTED,
        problem,
    })
}

pub(super) fn blank(input: &mut Input<'_>) -> Parsed<()> {
    take_while(0.., [' ', '\t', '\r']).void().parse_next(input)
}

/// A sign with blanks around it.
pub(super) fn sign<'t>(
    sign: char,
    expected: &'static str,
) -> impl Parser<Input<'t>, char, ErrMode<PlanError>> {
    delimited(blank, sign, blank).context(expected)
}

fn starts_word(letter: char) -> bool {
    letter.is_alphabetic() || letter == '_'
}

fn continues_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Whether a text is one word.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(starts_word) && text.chars().all(continues_word)
}

pub(super) fn word<'t>(input: &mut Input<'t>) -> Parsed<&'t str> {
    (one_of(starts_word), take_while(0.., continues_word))
        .take()
        .parse_next(input)
}

/// A number of decimal digits.
pub(super) fn decimal(input: &mut Input<'_>) -> Parsed<u64> {
    let start = input.current_token_start();
    let digits: &str = digit1.parse_next(input)?;
    digits
        .parse()
        .map_err(|_| stop(start, Problem::TooLarge(u64::MAX)))
}

/// A number after `0x`.
pub(super) fn hexadecimal(input: &mut Input<'_>) -> Parsed<u64> {
    let start = input.current_token_start();
    let digits: &str = preceded("0x", hex_digit1).parse_next(input)?;
    u64::from_str_radix(digits, 16).map_err(|_| stop(start, Problem::TooLarge(u64::MAX)))
}

pub(super) fn number(input: &mut Input<'_>) -> Parsed<u64> {
    alt((hexadecimal, decimal)).parse_next(input)
}
