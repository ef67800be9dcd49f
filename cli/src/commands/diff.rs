//! `hcall diff`: where two traces part.

use hypercall_trace::diff::{Difference, Options, diff_traces};

use crate::args::Diff;
use crate::failure::Failure;
use crate::format::{Context, Part, plain_lines};
use crate::input::{self, Losses};
use crate::output::Output;
use crate::status::Status;

pub(crate) fn run(args: &Diff, out: &mut Output) -> Result<Status, Failure> {
    let left = input::open(&args.left)?;
    let right = input::open(&args.right)?;
    let found = diff_traces(
        &left,
        &right,
        Options {
            without_pages: args.without_pages,
        },
    );
    if args.json {
        out.pretty(&found)?;
    } else {
        for difference in &found.differences {
            let part = match difference {
                Difference::OnlyLeft { .. } | Difference::LaneOnlyLeft { .. } => Part::Bad,
                Difference::OnlyRight { .. } | Difference::LaneOnlyRight { .. } => Part::Good,
                _ => Part::Notice,
            };
            let text = plain_lines(&difference.to_string());
            let (mark, rest) = text.split_at_checked(1).unwrap_or((&text, ""));
            out.text(&out.paint.string(part, mark))?;
            out.line(rest)?;
        }
        let other = super::count(found.differences.len(), "difference");
        out.line(&format!(
            "{} the same, {other}",
            super::count(found.same, "call")
        ))?;
    }
    out.flush()?;
    let mut damaged = false;
    for trace in [&left, &right] {
        damaged |= Losses::of(trace).report(&Context::of(trace));
    }
    Ok(if found.is_empty() {
        Status::Done.or_partly(damaged)
    } else {
        Status::Found
    })
}
