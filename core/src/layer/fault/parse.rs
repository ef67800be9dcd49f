//! Reads a plan.

use winnow::Parser;
use winnow::combinator::{alt, cut_err, opt, preceded};
use winnow::error::ErrMode;
use winnow::stream::Location;
use winnow::token::take_while;

use super::effect::effect;
use super::near::{Name, nearest};
use super::token::{Input, Parsed, blank, decimal, number, sign, stop, word};
use super::{Calls, Fault, Plan, PlanError, Problem, When};
use crate::call::InterfaceInfo;

pub(super) fn plan<const N: usize>(
    text: &str,
    interface: &'static InterfaceInfo,
) -> Result<Plan<N>, PlanError> {
    let mut input = Input::new(text);
    let mut plan = Plan::new();
    read(&mut input, interface, |offset, fault| {
        plan.push(fault)
            .map_err(|_| stop(offset, Problem::TooMany(N)))
    })
    .map_err(|error| match error {
        ErrMode::Backtrack(error) | ErrMode::Cut(error) => in_line(text, error),
        // Only partial input is ever incomplete.
        ErrMode::Incomplete(_) => in_line(
            text,
            PlanError {
                offset: text.len(),
                line: 1,
                problem: Problem::Expected("more"),
            },
        ),
    })?;
    Ok(plan)
}

/// The error with the line of its place.
fn in_line(text: &str, error: PlanError) -> PlanError {
    let before = text.bytes().take(error.offset);
    let ended = before.filter(|byte| *byte == b'\n').count();
    PlanError {
        line: ended.saturating_add(1),
        ..error
    }
}

fn read(
    input: &mut Input<'_>,
    interface: &'static InterfaceInfo,
    mut found: impl FnMut(usize, Fault) -> Parsed<()>,
) -> Parsed<()> {
    const END: Problem = Problem::Expected("`@` and when, or the end of the fault");
    loop {
        while gap(input)? {}
        if input.is_empty() {
            return Ok(());
        }
        let offset = input.current_token_start();
        found(offset, fault(input, interface)?)?;
        blank(input)?;
        let end = input.current_token_start();
        if !input.is_empty() && !gap(input)? {
            return Err(stop(end, END));
        }
    }
}

/// Skips what stands between faults. Says whether there was any.
fn gap(input: &mut Input<'_>) -> Parsed<bool> {
    let end = alt((
        take_while(1.., [' ', '\t', '\r', '\n', ';']).void(),
        ('#', take_while(0.., |letter| letter != '\n')).void(),
    ));
    opt(end).map(|found| found.is_some()).parse_next(input)
}

fn fault(input: &mut Input<'_>, interface: &'static InterfaceInfo) -> Parsed<Fault> {
    let calls = calls(input, interface)?;
    sign(':', "`:` and what happens").parse_next(input)?;
    let effect = effect(input, interface, calls)?;
    let when = opt(preceded(sign('@', ""), cut_err(when))).parse_next(input)?;
    Ok(Fault {
        calls,
        effect,
        when: when.unwrap_or(When::ALWAYS),
    })
}

fn calls(input: &mut Input<'_>, interface: &'static InterfaceInfo) -> Parsed<Calls> {
    enum Given<'t> {
        All,
        Number(u64),
        Name(&'t str),
    }
    let given = alt((
        '*'.map(|_| Given::All),
        number.map(Given::Number),
        word.map(Given::Name),
    ));
    let (given, span) = given
        .context("a call's name or number, or `*`")
        .with_span()
        .parse_next(input)?;
    match given {
        Given::All => Ok(Calls::All),
        Given::Number(number) if interface.calls.iter().any(|call| call.number == number) => {
            Ok(Calls::Number(number))
        }
        Given::Number(_) => Err(stop(span.start, Problem::UnknownNumber)),
        Given::Name(name) => interface.call(name).map(Calls::One).ok_or_else(|| {
            let nearest = nearest(name, interface);
            let name = Name::new(name);
            stop(span.start, Problem::UnknownCall { name, nearest })
        }),
    }
}

fn when(input: &mut Input<'_>) -> Parsed<When> {
    const WHEN: &str = "a count such as `3`, `3..`, `3..7`, `3..7+2` or `+2`";
    let start = input.current_token_start();
    let step = || opt(preceded('+', cut_err(decimal.context("a step"))));
    let when = if let Some(step) = step().parse_next(input)? {
        When::every(step)
    } else {
        let first = decimal.context(WHEN).parse_next(input)?;
        let end = opt(preceded("..", opt(decimal))).parse_next(input)?;
        match (end, step().parse_next(input)?) {
            (None, None) => When::once(first),
            (None, Some(step)) => When::new(first, None, step),
            (Some(last), step) => When::new(first, last, step.unwrap_or(1)),
        }
    };
    when.ok_or_else(|| stop(start, Problem::Never))
}
