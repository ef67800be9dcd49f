//! A plan as text. It reads back as the same plan, with the interface that the plan was made for.

use core::fmt;

use super::token::is_word;
use super::{Answer, Calls, Effect, Fault, Form, Full, Pattern, Plan, When};

impl<const N: usize> fmt::Display for Plan<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.faults().enumerate() {
            f.write_str(if position == 0 { "" } else { "; " })?;
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.calls {
            Calls::All => f.write_str("*")?,
            Calls::Number(number) => write!(f, "{number:#x}")?,
            Calls::One(call) if is_word(call.name) => f.write_str(call.name)?,
            Calls::One(call) => write!(f, "{:#x}", call.number)?,
        }
        f.write_str(": ")?;
        match self.effect {
            Effect::Answer(form, answer) => {
                f.write_str(match form {
                    Form::Instead => "instead=",
                    Form::After => "after=",
                })?;
                show_answer(answer, self.calls, f)?;
            }
            Effect::Delay(microseconds) => show_delay(microseconds, f)?,
            Effect::Flip(place, pattern) => show_flip(place, &pattern, f)?,
        }
        if self.when == When::ALWAYS {
            Ok(())
        } else {
            write!(f, " @ {}", self.when)
        }
    }
}

fn show_answer(answer: Answer, calls: Calls, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (answer, calls) {
        (Answer::Lost, _) => f.write_str("lost"),
        (Answer::Crash, _) => f.write_str("crash"),
        (Answer::Hang, _) => f.write_str("hang"),
        (Answer::Rax(rax), Calls::One(call)) => {
            // By name only where the name would be read as this code again.
            let code = call.codes.iter().find(|code| code.code == rax);
            match code.map(|code| code.name) {
                Some(name)
                    if is_word(name)
                        && !matches!(name, "lost" | "crash" | "hang")
                        && call.codes.iter().find(|code| code.name == name) == code =>
                {
                    f.write_str(name)
                }
                _ => write!(f, "{rax}"),
            }
        }
        (Answer::Rax(rax), _) => write!(f, "{rax}"),
    }
}

fn show_delay(microseconds: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if microseconds == 0 || !microseconds.is_multiple_of(1_000) {
        write!(f, "delay={microseconds}us")
    } else if !microseconds.is_multiple_of(1_000_000) {
        write!(f, "delay={}ms", microseconds / 1_000)
    } else {
        write!(f, "delay={}s", microseconds / 1_000_000)
    }
}

fn show_flip(place: usize, pattern: &Pattern, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match pattern.bytes() {
        [0xff] => write!(f, "flip={place}"),
        [byte] if byte.is_power_of_two() => write!(f, "flip={place}.{}", byte.trailing_zeros()),
        bytes => {
            write!(f, "xor={place}^")?;
            bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

/// In the shortest form: `3`, `3..`, `+2`, `3..7+2`. Every call is `1..`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, step) = (self.first(), self.step());
        match self.last() {
            Some(last) if last == first => return write!(f, "{first}"),
            Some(last) => write!(f, "{first}..{last}")?,
            None if first == step && step > 1 => {}
            None => write!(f, "{first}..")?,
        }
        if step > 1 {
            write!(f, "+{step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the plan has no place for another fault")
    }
}

impl core::error::Error for Full {}
