//! `hcall explain`: what a number, a name or a line of ACRN's log is about.

use hypercall_core::acrn::HypervisorCalls;
use hypercall_trace::explain::explain;
use hypercall_trace::schema::Schema;

use crate::args::Explain;
use crate::failure::Failure;
use crate::format::plain_lines;
use crate::output::Output;
use crate::status::Status;

pub(crate) fn run(args: &Explain, out: &mut Output) -> Result<Status, Failure> {
    let schema = Schema::from_interfaces(&[HypervisorCalls::INTERFACE]);
    let text = args.what.join(" ");
    let told = explain(&text, &schema);
    let known = !told.calls.is_empty() || told.answer.is_some();
    if args.json {
        out.pretty(&told)?;
    } else {
        out.text(&plain_lines(&told.to_string()))?;
    }
    if known {
        return Ok(Status::Done);
    }
    out.flush()?;
    Err(Failure::input(
        format!("nothing is known of `{}`", crate::format::plain(&text)),
        "ask for a number, a call's name, an error's name, or a line of ACRN's log; `hcall calls` lists the calls",
    ))
}
