//! `hcall diff`: where two traces part.

use hypercall_trace::diff::{Difference, Options, diff_traces_to};

use crate::args::Diff;
use crate::failure::Failure;
use crate::format::{Context, Part, plain_lines};
use crate::input::{self, Losses};
use crate::output::{Output, Progress};
use crate::status::Status;

pub(crate) fn run(args: &Diff, out: &mut Output) -> Result<Status, Failure> {
    let left = input::open(&args.left)?;
    let right = input::open(&args.right)?;
    input::described(&args.left, &left)?;
    input::described(&args.right, &right)?;
    let progress = Progress::streaming("comparing", left.len(), true);
    out.beside(&progress);
    let mut told = Told::default();
    let limit = args.limit.unwrap_or(u64::MAX);
    if args.json {
        out.text("{\"differences\":[")?;
    }
    let mut failed = None;
    let options = Options {
        without_pages: args.without_pages,
    };
    let compared = diff_traces_to(&left, &right, options, &mut |found, seen| {
        progress.now(seen);
        for difference in &found {
            if told.count >= limit {
                told.more = true;
                return false;
            }
            if let Err(failure) = told.difference(difference, args.json, out) {
                failed = Some(failure);
                return false;
            }
        }
        true
    });
    drop(progress);
    if let Some(failure) = failed {
        return Err(failure);
    }
    let same = compared.same;
    if args.json {
        let (more, untied) = (told.more, compared.untied);
        out.line(&format!(
            "\n],\"same\":{same},\"more\":{more},\"untied\":{untied}}}"
        ))?;
    } else {
        let others = super::count(told.count, "difference");
        let more = if told.more {
            format!("; stopped at --limit {limit}, the rest was not compared")
        } else {
            String::new()
        };
        out.line(&format!(
            "{} the same, {others}{more}",
            super::count(same, "call")
        ))?;
    }
    out.flush()?;
    let mut damaged = compared.untied != 0;
    if compared.untied != 0 {
        crate::output::tell!(
            "hcall: {} of names or addresses not compared: there are too many",
            super::count(compared.untied, "pair")
        );
    }
    for (trace, path) in [(&left, &args.left), (&right, &args.right)] {
        let mut losses = Losses::of(trace).named(path);
        // What took no call makes no difference, and was not compared either.
        losses.stretches(trace);
        damaged |= losses.report(&Context::of(trace));
    }
    Ok(if told.count == 0 {
        Status::Done.or_partly(damaged)
    } else {
        Status::Found
    })
}

/// The differences that were told.
#[derive(Debug, Default)]
struct Told {
    count: u64,
    more: bool,
}

impl Told {
    fn difference(
        &mut self,
        difference: &Difference,
        json: bool,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let first = self.count == 0;
        self.count = self.count.saturating_add(1);
        if json {
            out.text(if first { "\n" } else { ",\n" })?;
            return out.value(difference);
        }
        let part = match difference {
            Difference::OnlyLeft { .. }
            | Difference::LaneOnlyLeft { .. }
            | Difference::RecordingsOnlyLeft { .. } => Part::Bad,
            Difference::OnlyRight { .. }
            | Difference::LaneOnlyRight { .. }
            | Difference::RecordingsOnlyRight { .. } => Part::Good,
            _ => Part::Notice,
        };
        let text = plain_lines(&difference.to_string());
        let (mark, rest) = text.split_at_checked(1).unwrap_or((&text, ""));
        out.text(&out.paint.string(part, mark))?;
        out.line(rest)
    }
}
