//! Reads what happens to a call.

use winnow::Parser;
use winnow::ascii::{digit1, hex_digit1};
use winnow::combinator::{alt, cut_err, opt, preceded};
use winnow::stream::Location;

use super::output::{inside, place};
use super::token::{Input, Parsed, decimal, hexadecimal, sign, stop, word};
use super::{Answer, Calls, Effect, Form, Pattern, Problem};
use crate::call::InterfaceInfo;

pub(super) fn effect(
    input: &mut Input<'_>,
    interface: &'static InterfaceInfo,
    calls: Calls,
) -> Parsed<Effect> {
    const EFFECT: &str = "`instead`, `after`, `delay`, `flip` or `xor`";
    let (name, span) = word.context(EFFECT).with_span().parse_next(input)?;
    if !matches!(name, "instead" | "after" | "delay" | "flip" | "xor") {
        return Err(stop(span.start, Problem::Expected(EFFECT)));
    }
    sign('=', "`=`").parse_next(input)?;
    match name {
        "instead" => Ok(Effect::Answer(
            Form::Instead,
            answer(input, interface, calls)?,
        )),
        "after" => Ok(Effect::Answer(
            Form::After,
            answer(input, interface, calls)?,
        )),
        "delay" => delay(input),
        "flip" => flip(input, interface, calls),
        _ => xor(input, interface, calls),
    }
}

fn answer(
    input: &mut Input<'_>,
    interface: &'static InterfaceInfo,
    calls: Calls,
) -> Parsed<Answer> {
    const ANSWER: &str = "RAX, a code's name, `lost`, `crash` or `hang`";
    if let Some(rax) = opt(hexadecimal).parse_next(input)? {
        return Ok(Answer::Rax(rax.cast_signed()));
    }
    let decimal = (opt('-'), digit1).take().with_span();
    if let Some((digits, span)) = opt(decimal).parse_next(input)? {
        let too_large = stop(span.start, Problem::TooLarge(i64::MAX.cast_unsigned()));
        return digits.parse().map(Answer::Rax).map_err(|_| too_large);
    }
    let (name, span) = word.context(ANSWER).with_span().parse_next(input)?;
    match name {
        "lost" => return Ok(Answer::Lost),
        "crash" => return Ok(Answer::Crash),
        "hang" => return Ok(Answer::Hang),
        _ => {}
    }
    let mut codes = interface
        .calls
        .iter()
        .filter(|call| calls.contain(call))
        .flat_map(|call| call.codes);
    codes
        .find(|code| code.name == name)
        .map(|code| Answer::Rax(code.code))
        .ok_or_else(|| stop(span.start, Problem::UnknownCode))
}

fn delay(input: &mut Input<'_>) -> Parsed<Effect> {
    let start = input.current_token_start();
    let count = decimal.context("a time such as `5ms`").parse_next(input)?;
    let unit = alt(("us".value(1), "ms".value(1_000), "s".value(1_000_000_u64)));
    let unit = unit.context("`us`, `ms` or `s`").parse_next(input)?;
    count.checked_mul(unit).map(Effect::Delay).ok_or_else(|| {
        stop(
            start,
            Problem::TooLarge(u64::MAX.checked_div(unit).unwrap_or(0)),
        )
    })
}

fn flip(input: &mut Input<'_>, interface: &'static InterfaceInfo, calls: Calls) -> Parsed<Effect> {
    let start = input.current_token_start();
    let (place, size) = place(input, interface, calls)?;
    let mut bit = opt(preceded(
        '.',
        cut_err(decimal.context("a bit's number").with_span()),
    ));
    let Some((bit, span)) = bit.parse_next(input)? else {
        inside(interface, calls, place, 1).map_err(|problem| stop(start, problem))?;
        return Ok(Effect::Flip(place, Pattern::BYTE));
    };
    let largest = size.saturating_mul(8).saturating_sub(1);
    let largest = u64::try_from(largest).unwrap_or(u64::MAX);
    let byte = usize::try_from(bit / 8).ok().filter(|_| bit <= largest);
    let byte = byte.and_then(|byte| place.checked_add(byte));
    let Some(byte) = byte else {
        return Err(stop(span.start, Problem::TooLarge(largest)));
    };
    inside(interface, calls, byte, 1).map_err(|problem| stop(start, problem))?;
    // What is left of a remainder of 8 is below 8.
    let pattern = Pattern::bit(u32::try_from(bit % 8).unwrap_or(0));
    Ok(Effect::Flip(byte, pattern))
}

fn xor(input: &mut Input<'_>, interface: &'static InterfaceInfo, calls: Calls) -> Parsed<Effect> {
    const DIGITS: &str = "bytes as pairs of hexadecimal digits";
    let start = input.current_token_start();
    let (place, _) = place(input, interface, calls)?;
    sign('^', "`^` and bytes").parse_next(input)?;
    let (digits, span) = hex_digit1.context(DIGITS).with_span().parse_next(input)?;
    let mut bytes = [0; Pattern::LONGEST];
    let pairs = digits.as_bytes().chunks(2);
    let length = pairs.len();
    let Some(used) = bytes.get_mut(..length) else {
        return Err(stop(span.start, Problem::BadPattern));
    };
    for (byte, pair) in used.iter_mut().zip(pairs) {
        let pair = str::from_utf8(pair).ok().filter(|pair| pair.len() == 2);
        *byte = pair
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or_else(|| stop(span.end, Problem::Expected("another hexadecimal digit")))?;
    }
    let pattern = Pattern::new(used).ok_or_else(|| stop(span.start, Problem::BadPattern))?;
    inside(interface, calls, place, length).map_err(|problem| stop(start, problem))?;
    Ok(Effect::Flip(place, pattern))
}
