//! The subcommands, one file each.

mod calls;
mod check;
mod completions;
mod demo;
mod diff;
mod explain;
mod export;
mod follow;
mod gen_test;
mod import;
mod pack;
mod places;
mod recover;
mod redact;
mod replay;
mod show;
mod stat;
mod state;
mod verify;

use crate::args::{Cli, Command};
use crate::failure::Failure;
use crate::output::Output;
use crate::status::Status;

/// Runs what the command line says.
pub(crate) fn run(cli: Cli) -> Result<Status, Failure> {
    let mut output = Output::new(cli.colour);
    let out = &mut output;
    let status = match cli.command {
        Command::Demo(args) => demo::run(&args, out),
        Command::Show(args) => show::run(&args, out),
        Command::Stat(args) => stat::run(&args, out),
        Command::Verify(args) => verify::run(&args, out),
        Command::Pack(args) => pack::run(&args, out),
        Command::Calls(args) => calls::run(&args, out),
        Command::Export(args) => export::run(&args, out),
        Command::Import(args) => import::run(&args, out),
        Command::Completions(args) => completions::run(&args, out),
        Command::Diff(args) => diff::run(&args, out),
        Command::Replay(args) => replay::run(&args, out),
        Command::Check(args) => check::run(&args, out),
        Command::State(args) => state::run(&args, out),
        Command::Recover(args) => recover::run(&args, out),
        Command::Redact(args) => redact::run(&args, out),
        Command::GenTest(args) => gen_test::run(&args, out),
        Command::Explain(args) => explain::run(&args, out),
    }?;
    output.flush()?;
    Ok(status)
}

/// Names a trace's lanes in a new one, with the same numbers. A number that the trace left out gets a name of its own.
pub(crate) fn name_lanes<W: std::io::Write>(
    trace: &hypercall_trace::read::Trace,
    writer: &mut hypercall_trace::write::Writer<W>,
) -> std::io::Result<()> {
    let lanes = crate::input::lanes(trace).ok_or_else(|| {
        std::io::Error::other("the trace numbers more lanes than a program can have")
    })?;
    for lane in lanes {
        writer.lane_from(&lane.name, trace.lane_start(lane.id))?;
    }
    Ok(())
}

/// A table that fits the terminal: a line under the header, and nothing else but spaces.
pub(crate) fn table() -> comfy_table::Table {
    let line = comfy_table::LineStyle::none().fill('─').junction('─');
    let mut table = comfy_table::Table::new();
    table
        .load_style(comfy_table::TableStyle::new().header_separator(line))
        .set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    table
}

/// The table's text. Only these columns are broken into lines where the terminal is narrow: names and numbers stay whole.
pub(crate) fn table_text(table: &mut comfy_table::Table, breakable: &[usize]) -> String {
    for (number, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if !breakable.contains(&number) {
            column.set_constraint(comfy_table::ColumnConstraint::ContentWidth);
        }
    }
    // Where nothing is behind it, a space says nothing.
    let text = table.to_string();
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// `1 call` and `is`, `2 calls` and `are`.
pub(crate) fn count_are(number: u64, what: &str) -> (String, &'static str) {
    let verb = if number == 1 { "is" } else { "are" };
    (count(number, what), verb)
}

/// `1 call`, `2 calls`.
pub(crate) fn count(number: impl TryInto<u64>, what: &str) -> String {
    match number.try_into().unwrap_or(u64::MAX) {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}
