//! Files that are written whole or not at all: the bytes go into a file beside the one that was asked for, which takes its
//! place when everything is written. A run that fails or is killed leaves what was there before.

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::args;
use crate::failure::Failure;

/// Bytes that are written at once.
const BUFFER: usize = 1 << 16;
/// Bytes of a name that has room for more.
const LONG_NAME: usize = 200;
/// What a file's rights are before the user's mask.
const RIGHTS: u32 = 0o666;

/// A file that is being written. Dropped without [`finish`](Self::finish), it leaves nothing.
#[derive(Debug)]
pub(crate) struct Target {
    to: BufWriter<File>,
    path: PathBuf,
    /// `None` for what cannot be replaced: a device, a pipe.
    beside: Option<TempPath>,
    force: bool,
}

impl Target {
    /// Starts a file that an option names. See [`at`](Self::at).
    pub(crate) fn create(asked: &args::Target, inputs: &[&Path]) -> Result<Self, Failure> {
        Self::at(&asked.output, asked.force, inputs)
    }

    /// Starts a file. One that is there is not replaced unless that was asked for, and an input never.
    pub(crate) fn at(path: &Path, force: bool, inputs: &[&Path]) -> Result<Self, Failure> {
        let there = path.canonicalize().ok();
        let is_input = |input: &&Path| there.is_some() && input.canonicalize().ok() == there;
        if inputs.iter().any(is_input) {
            return Err(Failure::usage(
                format!("{} is the input", path.display()),
                "name another file for the output",
            ));
        }
        let failed = |error| Failure::Write {
            path: path.into(),
            error,
        };
        // The name of an open pipe, such as /dev/stdout, leads to something that has no name.
        if let Ok(kind) = path.metadata().map(|data| data.file_type()) {
            if kind.is_dir() {
                return Err(Failure::usage(
                    format!("{} is a folder", path.display()),
                    "name a file in it",
                ));
            }
            if !kind.is_file() {
                let file = File::options().write(true).open(path).map_err(failed)?;
                return Ok(Self::new(file, path.into(), None, force));
            }
            if !force {
                return Err(is_there(path));
            }
        }
        // A link stays one: what it leads to is replaced.
        let place = there.unwrap_or_else(|| path.into());
        let (folder, name) = match (place.parent(), place.file_name()) {
            (Some(folder), Some(name)) => (folder, name),
            _ => {
                return Err(Failure::usage(
                    format!("{} is no name of a file", path.display()),
                    "name a file for the output",
                ));
            }
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let mut prefix = OsString::from(".");
        // A name has at most 255 bytes.
        if name.len() <= LONG_NAME {
            prefix.push(name);
        }
        prefix.push(".");
        let beside: NamedTempFile = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .permissions(Permissions::from_mode(RIGHTS))
            .tempfile_in(folder)
            .map_err(failed)?;
        let (file, beside) = beside.into_parts();
        Ok(Self::new(file, place, Some(beside), force))
    }

    fn new(file: File, path: PathBuf, beside: Option<TempPath>, force: bool) -> Self {
        Self {
            to: BufWriter::with_capacity(BUFFER, file),
            path,
            beside,
            force,
        }
    }

    /// Everything is written: the file takes its place.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let Self {
            to,
            path,
            beside,
            force,
        } = self;
        let failed = |error| Failure::Write {
            path: path.clone(),
            error,
        };
        let file = to
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        let Some(beside) = beside else {
            return Ok(());
        };
        // Else a power cut could leave the name without the bytes.
        file.sync_data().map_err(failed)?;
        let moved = if force {
            beside.persist(&path)
        } else {
            beside.persist_noclobber(&path)
        };
        moved.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => is_there(&path),
            _ => failed(error.error),
        })
    }

    /// What a failure to write it is.
    pub(crate) fn failed(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
        let path = path.to_path_buf();
        move |error| Failure::Write {
            path: path.clone(),
            error,
        }
    }
}

fn is_there(path: &Path) -> Failure {
    Failure::usage(
        format!("{} is there already", path.display()),
        "name another file, or overwrite it with --force",
    )
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
