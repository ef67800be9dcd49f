//! What a recording writes to, when that is asked onto a disk, and what came of it.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

/// When what was written is asked onto the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the operating system likes. A killed process loses nothing; a machine that loses its power may.
    #[default]
    Never,
    /// At most this long after it was written.
    Every(Duration),
    /// After each block.
    EachBlock,
    /// Before each call: the call is announced on the disk before it is made, so that a call that stops the machine is
    /// seen there. A call then takes as long as the disk; one that the disk does not take is made all the same, after one
    /// attempt, and so is one whose announcement takes longer than the recording's [patience](super::RecordingOptions::patience),
    /// all its writes and the sync together.
    EachCall,
}

/// Takes the bytes of a recording: a file, or something that plays one in a test. It is used, and dropped, in a thread of its own.
pub trait Storage: Write + Send + 'static {
    /// Asks what was written onto the disk.
    ///
    /// # Errors
    /// As the storage says.
    fn sync(&mut self) -> io::Result<()>;
}

impl Storage for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// What came of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finished {
    /// Calls that the storage took.
    pub calls: u64,
    /// Calls that are known to be neither in the storage nor beside the rings: those that were not recorded, those that were
    /// overwritten.
    pub lost: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// How often the storage failed. What it did not take was kept and tried again, and so was a sync.
    pub failures: u64,
    /// What it said the last time, or when a sync failed.
    pub failure: Option<String>,
    /// Whether everything reached the storage, and every sync succeeded in the end. One that is only late may still do so; one that
    /// failed is never taken for a success, whatever later ones say: an operating system tells of what it could not write once, and
    /// may drop it then.
    pub complete: bool,
    /// Where the rings are, which stay when not everything reached the storage. What had left them already lies beside them;
    /// `recover` reads both.
    pub rings: Option<std::path::PathBuf>,
}
