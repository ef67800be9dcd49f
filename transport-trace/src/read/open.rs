//! What opening looks at first: the file's header, and why there is no trace.

use std::io;
use std::path::PathBuf;

use super::source::{Source, read_full};
use crate::entry::{Damaged, Defect};
use crate::format::{BLOCK_MAGIC, FILE_HEADER, FileHeader, MAGIC, MAJOR, MINOR};

/// Why a trace cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no such file.
    #[error("there is no trace {}", .0.display())]
    NotFound(PathBuf),
    /// The storage failed.
    #[error("the trace cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file has no bytes.
    #[error("the file is empty: nothing was recorded, or nothing reached the disk")]
    Empty,
    /// The file ends inside its header.
    #[error("the file ends inside its header, after {0} bytes: it holds no record")]
    CutHeader(u64),
    /// The file is something else.
    #[error(
        "this is not a trace: it does not start with a trace's header, and no block follows one"
    )]
    NotATrace,
    /// The file's format is of a later major version.
    #[error(
        "the trace has format version {found}, and this program reads version {supported}: use a newer one"
    )]
    NewerMajor {
        /// The file's major version.
        found: u16,
        /// The major version that this library reads.
        supported: u16,
    },
}

/// The file's header, or what stands for it where it is damaged.
pub(super) fn read_header(
    source: &dyn Source,
    damage: &mut Vec<Damaged>,
) -> Result<FileHeader, OpenError> {
    let mut bytes = [0; FILE_HEADER + 8];
    let count = read_full(source, 0, &mut bytes)?;
    let (head, behind) = bytes.split_at(FILE_HEADER);
    let Some(head) = head.first_chunk::<FILE_HEADER>() else {
        return Err(OpenError::NotATrace);
    };
    if count == 0 {
        return Err(OpenError::Empty);
    }
    if count < FILE_HEADER {
        let start = count.min(MAGIC.len());
        return Err(if head.get(..start) == MAGIC.get(..start) {
            OpenError::CutHeader(u64::try_from(count).unwrap_or(0))
        } else {
            OpenError::NotATrace
        });
    }
    if let Some(header) = FileHeader::decode(head) {
        if header.major == MAJOR {
            return Ok(header);
        }
        return Err(OpenError::NewerMajor {
            found: header.major,
            supported: MAJOR,
        });
    }
    // The header is damaged. The blocks that follow it decide what this is.
    if head.starts_with(&MAGIC) || behind.starts_with(&BLOCK_MAGIC) {
        damage.push(Damaged {
            offset: 0,
            length: FILE_HEADER as u64,
            defect: Defect::Header,
            lane: None,
            entries: None,
            index: None,
            calls: None,
        });
        return Ok(FileHeader {
            major: MAJOR,
            minor: MINOR,
            id: 0,
        });
    }
    Err(OpenError::NotATrace)
}
