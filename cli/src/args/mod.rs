//! The command line.

mod files;
mod show;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use files::{ACRN_TYPES, GenTest, Pack, Recover, Redact, Undescribed};
pub(crate) use show::{Filter, Show};

use crate::status::Status;

/// Shows, compares, checks and replays recorded hypercalls.
#[derive(Debug, Parser)]
#[command(
    name = "hcall",
    version,
    max_term_width = 100,
    after_long_help = Status::table(),
    after_help = "Start with `hcall demo`. `--help` has the exit statuses."
)]
pub(crate) struct Cli {
    /// Colours: by default on a terminal, unless NO_COLOR is set.
    #[arg(
        long,
        alias = "color",
        value_enum,
        default_value_t,
        global = true,
        value_name = "WHEN"
    )]
    pub(crate) colour: Colour,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When there are colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, as NO_COLOR, CLICOLOR and CLICOLOR_FORCE say.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Colour {
    pub(crate) fn on(self, stream: &impl anstream::stream::RawStream) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Records a VM's life on a fake ACRN, shows it, and replays it.
    Demo(Demo),
    /// Shows calls, one a line, in the manner of strace.
    Show(Show),
    /// Counts, errors and latencies of each call; of two traces, side by side.
    Stat(Stat),
    /// Where two traces part: aligned by call, field by field.
    Diff(Diff),
    /// Makes the recorded calls again, on a fake ACRN, and reports the first answer that differs.
    Replay(Replay),
    /// Checks the rules of a VM's life over a trace.
    Check(Check),
    /// Which VMs, memory and devices there were at a point of a trace.
    State(State),
    /// Looks at every byte of a trace, and says what is damaged or missing.
    Verify(Verify),
    /// Makes a trace of what a killed recording left, in its file and its rings.
    Recover(Recover),
    /// Makes a trace smaller, for keeping and sending.
    Pack(Pack),
    /// Makes a trace without secrets, names, addresses or fields that you name: keyed hashes stand in their place.
    Redact(Redact),
    /// Writes a Rust test that replays a trace, or a part of one.
    GenTest(GenTest),
    /// Says what a number, a name or a line of ACRN's log is about.
    Explain(Explain),
    /// The whole interface as a table.
    Calls(Calls),
    /// Writes a trace in a form that other programs read.
    Export(Export),
    /// Makes a trace of exported JSON lines.
    Import(Import),
    /// Prints completions for a shell.
    Completions(Completions),
}

/// A file that is written.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Overwrites it.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the trace goes. Overwritten if it is there.
    #[arg(short, long, value_name = "FILE", default_value = "demo.hct")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Another one, to compare with.
    pub(crate) other: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The trace that is taken as right.
    pub(crate) left: PathBuf,
    /// The trace that is compared with it.
    pub(crate) right: PathBuf,
    /// Leaves out what changed in shared pages.
    #[arg(long)]
    pub(crate) without_pages: bool,
    /// Stops behind this many differences.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// Goes on behind an answer that differs, up to the end or to a call that brings the machine down. Of a file that was joined from several
    /// recordings the next one is made in any case, on another machine.
    #[arg(long)]
    pub(crate) all: bool,
    /// Of a file that was joined from several recordings, only this one: 0 is the first.
    #[arg(long, value_name = "N")]
    pub(crate) recording: Option<u32>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// As JSON, one finding a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct State {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// After this entry: its position in the order of time, from 0, or a call such as main#3. Without it: at the end.
    #[arg(long, value_name = "PLACE")]
    pub(crate) at: Option<String>,
    /// Of a file that was joined from several recordings, which one: 0 is the first. A call such as main#3 needs it there, since each may
    /// have one; without both, it is the last one's end.
    #[arg(long, value_name = "N")]
    pub(crate) recording: Option<u32>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A number, a name, or a line of ACRN's log (behind `--` if a word of it starts with one) such as `ret=-1 hypercall=0x80000023 failed`.
    #[arg(required = true, num_args = 1.., allow_negative_numbers = true)]
    pub(crate) what: Vec<String>,
    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Calls {
    /// The interface that a trace was recorded with. Without it: the one that this program knows.
    pub(crate) trace: Option<PathBuf>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// The form.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) to: Form,
    /// The file to write. Without it: the standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrites it.
    #[arg(long)]
    pub(crate) force: bool,
}

/// A form that other programs read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// JSON lines, complete: `hcall import` reads them back.
    #[default]
    Json,
    /// A capture for Wireshark and tshark, which decode it with the dissector.
    Pcapng,
    /// The dissector, a Lua script, for the calls of this trace.
    Dissector,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The JSON lines; `-` for the standard input.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    const PAGE: &str = include_str!("../../../docs/hcall.md");

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    /// Every subcommand has a line of its own in the page's table of options, with every option that it takes, and the
    /// page has none that is not there.
    #[test]
    fn the_page_has_every_subcommand_and_every_option() {
        let mut command = Cli::command();
        command.build();
        let mut names = Vec::new();
        for subcommand in command
            .get_subcommands()
            .filter(|command| command.get_name() != "help")
        {
            let name = subcommand.get_name();
            names.push(name.to_owned());
            let start = format!("| `{name}` |");
            let line = PAGE
                .lines()
                .find(|line| line.starts_with(&start))
                .unwrap_or_else(|| panic!("docs/hcall.md has no line `{start}`"));
            let filters = if line.contains("filters") {
                section("## Filters")
            } else {
                ""
            };
            let options: Vec<_> = subcommand
                .get_arguments()
                .filter_map(|argument| argument.get_long())
                .filter(|long| !["help", "version", "colour"].contains(long))
                .collect();
            for long in &options {
                let option = format!("`--{long}");
                assert!(
                    line.contains(&option) || filters.contains(&option),
                    "docs/hcall.md: {name} takes --{long}"
                );
            }
            for told in line.split('`').filter_map(|word| word.strip_prefix("--")) {
                let told = told.split([' ', '[']).next().unwrap_or(told);
                assert!(
                    options.contains(&told),
                    "docs/hcall.md: {name} does not take --{told}"
                );
            }
        }
        for line in section("## Options")
            .lines()
            .filter(|line| line.starts_with("| `"))
        {
            let name = line.split('`').nth(1).unwrap_or_default();
            assert!(
                names.iter().any(|known| known == name),
                "docs/hcall.md has a subcommand {name}"
            );
        }
    }

    /// The page from a title to the next.
    fn section(title: &str) -> &'static str {
        let start = PAGE
            .find(title)
            .unwrap_or_else(|| panic!("docs/hcall.md has no {title}"));
        let rest = &PAGE[start + title.len()..];
        &rest[..rest.find("\n## ").unwrap_or(rest.len())]
    }
}
