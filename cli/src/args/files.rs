//! What the subcommands take that write a file.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Target;
use crate::format::parse_hex;

#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// The trace's file, as far as it was written.
    pub(crate) trace: Option<PathBuf>,
    /// The folder with the recording's rings, or ring files. Without it, if the trace was not finished: where /dev/shm or the
    /// folder for temporary files has or leads to those with its number, which `hcall verify` tells. What somebody else put there
    /// is left out.
    #[arg(long, value_name = "PATH", required_unless_present = "trace")]
    pub(crate) rings: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// The trace.
    pub(crate) trace: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
    /// How hard to compress, 1 to 19.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(i32).range(1..=19), value_name = "N")]
    pub(crate) level: i32,
}

#[derive(Debug, Args)]
pub(crate) struct Redact {
    /// The trace.
    pub(crate) trace: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Fields and arguments: a name such as cpu_affinity, or create_vm.name. All of their values; of what the other options choose, zeros and
    /// all ones stay, because they say that there is nothing.
    #[arg(long, value_delimiter = ',', value_name = "FIELD")]
    pub(crate) field: Vec<String>,
    /// All text, such as the VMs' names.
    #[arg(long)]
    pub(crate) text: bool,
    /// All addresses. Where something lies in its page stays; which ranges touch does not.
    #[arg(long)]
    pub(crate) addresses: bool,
    /// Memory without a description, and the contents of shared pages.
    #[arg(long)]
    pub(crate) bytes: bool,
    /// What to do with calls that the trace does not describe completely: those that are not in its schema, or carry blocks
    /// of another length. `hash` replaces all of their arguments.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) undescribed: Undescribed,
    /// Leaves secrets as they are: the recorder has hashed them.
    #[arg(long)]
    pub(crate) keep_secrets: bool,
    /// The key of the hash, 32 hexadecimal digits. With the same key, equal values stay equal across traces. Without it: a
    /// new one, which is then forgotten.
    #[arg(long, value_parser = key, value_name = "HEX")]
    pub(crate) key: Option<[u8; 16]>,
}

/// What to do with calls without a complete description.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Undescribed {
    /// Write nothing: nobody knows where in them a secret stands.
    #[default]
    Refuse,
    /// Replace all bytes of their arguments.
    Hash,
}

fn key(text: &str) -> Result<[u8; 16], String> {
    parse_hex(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| "a key has 32 hexadecimal digits".to_owned())
}

/// Where the types of ACRN's interface are.
pub(crate) const ACRN_TYPES: &str = "hypercall::acrn::*";

#[derive(Debug, Args)]
pub(crate) struct GenTest {
    /// The trace.
    pub(crate) trace: PathBuf,
    /// The test to write, a Rust file. The slice of the trace lies beside it, with the ending .hct.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Overwrites both.
    #[arg(long)]
    pub(crate) force: bool,
    /// Only these lanes.
    #[arg(short, long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) lane: Vec<String>,
    /// The first call, by its index in its lane.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) from: u64,
    /// The last call.
    #[arg(long, value_name = "N")]
    pub(crate) to: Option<u64>,
    /// Of a file that was joined from several recordings, which one: 0 is the first.
    #[arg(long, value_name = "N")]
    pub(crate) recording: Option<u32>,
    /// What brings the interface's trait and types into scope, behind `use`: my_interface::*. More than once for more.
    #[arg(long, value_name = "PATH", default_value = ACRN_TYPES)]
    pub(crate) types: Vec<String>,
    /// The crate with the call model: hypercall or hypercall_core.
    #[arg(long = "crate", value_name = "CRATE", default_value = "hypercall")]
    pub(crate) core: String,
    /// The crate that replays: hypercall_trace, or hypercall::trace, which needs the feature `trace`.
    #[arg(long, value_name = "CRATE", default_value = "hypercall::trace")]
    pub(crate) trace_crate: String,
    /// The test's name. Without it: the file's.
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}
