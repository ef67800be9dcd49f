//! How a recording is made: what can be chosen of it, and its start.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hypercall_core::call::InterfaceInfo;

use super::drain::Drain;
use super::patient::Patient;
use super::recording::Recording;
use super::redact::Redaction;
use super::rings::{default_base, default_name, hold, private_folder, signpost};
use super::shared::Shared;
use super::storage::{Finished, Storage, SyncPolicy};
use super::waiting::Beside;
use crate::clock::{Clock, DefaultClock, Pace};
use crate::format::BlockKind;
use crate::format::out::{Compression, Out};
use crate::ring::Full;

/// What can be chosen of a recording.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) full: Full,
    pub(super) sync: SyncPolicy,
    pub(super) redaction: Redaction,
    pub(super) compression: Compression,
    pub(super) ring: usize,
    pub(super) blocks: usize,
    pub(super) patience: Duration,
}

/// Chooses how a recording is made, and starts it.
#[derive(Clone, Debug)]
pub struct RecordingOptions<C = DefaultClock> {
    interfaces: &'static [&'static InterfaceInfo],
    settings: Settings,
    rings: Option<PathBuf>,
    clock: C,
    frequency: u64,
}

impl Recording {
    /// A recording of calls of these interfaces. Calls of others are recorded by number.
    ///
    /// Without further choices: a ring of 8 MiB for each lane, calls dropped and counted when it is full, LZ4, secrets
    /// hashed under a random key that nobody keeps, 30 seconds of patience with the storage.
    #[must_use]
    pub fn options(interfaces: &'static [&'static InterfaceInfo]) -> RecordingOptions {
        let clock = DefaultClock::default();
        let frequency = clock.frequency();
        RecordingOptions {
            interfaces,
            settings: Settings {
                full: Full::default(),
                sync: SyncPolicy::default(),
                redaction: random().map_or(Redaction::Zero, Redaction::Hash),
                compression: Compression::Lz4,
                ring: 8 << 20,
                blocks: 32,
                patience: Duration::from_secs(30),
            },
            rings: None,
            clock,
            frequency,
        }
    }
}

fn random() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

impl<C: Clock + Clone + Send + Sync + 'static> RecordingOptions<C> {
    /// What to do when a ring is full.
    #[must_use]
    pub const fn full(mut self, full: Full) -> Self {
        self.settings.full = full;
        self
    }

    /// When to ask what was written onto the disk.
    #[must_use]
    pub const fn sync(mut self, sync: SyncPolicy) -> Self {
        self.settings.sync = sync;
        self
    }

    /// How long a write or a sync of the storage is waited for. One that takes longer, as on a network's file system whose
    /// server is gone, is one that failed: no call waits for it any longer, [`finish`](Recording::finish) gives up, and the
    /// rings are left for `recover`. Where it comes back after all while the recording goes on, nothing is missing.
    ///
    /// It is what one write or one sync may take, and a storage that takes a little at a time needs many. Who waits for it:
    /// - a call with [`SyncPolicy::EachCall`], at most this long, however many writes its announcement is. One that comes while the
    ///   recording ends waits for that as for any announcement;
    /// - a call with [`Full::Block`], as long as the storage takes something, and until about a second after this where it does not;
    /// - [`finish`](Recording::finish), and who drops a recording, as long as the storage takes something, and at most a few times
    ///   this long where it does not.
    ///
    /// It should be longer than the slowest sync of a disk that works.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// How blocks are compressed.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.settings.compression = compression;
        self
    }

    /// What becomes of secrets. Recordings under the same key can be compared.
    #[must_use]
    pub const fn redaction(mut self, redaction: Redaction) -> Self {
        self.settings.redaction = redaction;
        self
    }

    /// The size of a ring in bytes, and into how many blocks it is divided: from 2 to 4096, each of at least 1 KiB. No record
    /// is larger than a block.
    ///
    /// A ring describes itself, so that it can be read alone: that takes 64 bytes for each block and the schema of the
    /// interfaces, 20 KiB together for those of ACRN, in pages of 4 KiB. The blocks have the rest. Where that is not enough
    /// for them, [`Recording::lane`] says how much is.
    #[must_use]
    pub const fn ring(mut self, bytes: usize, blocks: usize) -> Self {
        self.settings.ring = bytes;
        self.settings.blocks = blocks;
        self
    }

    /// The folder for the rings, which should be on a tmpfs; it is created where it does not exist. They are removed when
    /// the recording is finished, and stay when the process dies: `recover` reads them.
    ///
    /// Without this a new folder `hypercall-PROCESS-ID` in `/dev/shm`, or in the system's folder for temporary files. With it, on
    /// Unix, a symbolic link leads from there to the folder, so that whoever has the trace's file finds its rings: `hcall recover`
    /// follows it, and `hcall verify` tells of the folder. Its name is `hypercall-PROCESS.NAMESPACES-ID`, where Linux says what the
    /// namespaces of processes and mounts are. A link that a killed process left is removed by a later recording in the same
    /// namespaces when its folder is gone.
    #[must_use]
    pub fn rings(mut self, folder: impl Into<PathBuf>) -> Self {
        self.rings = Some(folder.into());
        self
    }

    /// Another clock, and its ticks a second (0 where that is not known: it is then measured against the operating
    /// system's monotonic clock).
    #[must_use]
    pub fn clock<D: Clock>(self, clock: D, frequency: u64) -> RecordingOptions<D> {
        RecordingOptions {
            interfaces: self.interfaces,
            settings: self.settings,
            rings: self.rings,
            clock,
            frequency,
        }
    }

    /// Starts a recording into a new file. It holds what memory does, so on Unix only this user can read it (mode 0600), as only they can
    /// the rings. For other rights make the file, and [`start`](Self::start) into that.
    ///
    /// # Errors
    /// As the operating system says: the file exists or cannot be written, and then the error names it; the folder of the rings cannot be made.
    pub fn create(self, path: impl AsRef<Path>) -> io::Result<Recording<C>> {
        let path = path.as_ref();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        // An empty file would only be in the way of the next attempt.
        self.start(file).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }

    /// Starts a recording into any storage.
    ///
    /// # Errors
    /// As the operating system says.
    pub fn start<S: Storage>(self, storage: S) -> io::Result<Recording<C>> {
        let id = random().map_or(0, |bytes| crate::format::u64_at(&bytes, 0));
        let (directory, own_directory) = match self.rings {
            Some(directory) => {
                private_folder(&directory, true)?;
                (directory, false)
            }
            None => {
                let directory = default_base().join(default_name(id));
                private_folder(&directory, false)?;
                (directory, true)
            }
        };
        let held = hold(&directory, id);
        let clock = self.clock;
        let frequency = self.frequency;
        let pace = Pace::new(clock.clone(), frequency);
        let storage = Patient::new(storage, self.settings.patience)?;
        let mut out = Out::new(storage, self.settings.compression, id);
        let mut preamble = Out::new(Vec::new(), Compression::None, id);
        let mut schema = Vec::new();
        crate::wire::schema(&mut schema, self.interfaces);
        let now = pace.first();
        for described in [&mut out as &mut dyn Begin, &mut preamble] {
            described.begin(&schema, &now);
        }
        preamble.flush()?;
        let preamble = preamble.into_sink();
        let shared = Arc::new(Shared::new(self.settings.patience));
        shared.set_frequency(frequency);
        let drain = Drain {
            shared: Arc::clone(&shared),
            out,
            sync: self.settings.sync,
            full: self.settings.full,
            clock: Box::new(move || pace.point()),
            lanes: Vec::new(),
            finished: Finished::default(),
            unsynced: None,
            beside: Beside {
                folder: directory.clone(),
                preamble: preamble.clone(),
                id,
                names: BTreeMap::new(),
            },
            refusals: 0,
        };
        let thread = std::thread::Builder::new()
            .name("hypercall-trace".into())
            .spawn(move || drain.run())?;
        let signpost = (!own_directory).then(|| signpost(&directory, id)).flatten();
        Ok(Recording {
            shared,
            thread: Some(thread),
            interfaces: self.interfaces,
            preamble,
            settings: self.settings,
            clock,
            directory,
            own_directory,
            signpost,
            rings: Mutex::default(),
            names: Mutex::default(),
            held,
            lanes: AtomicU32::new(0),
            id,
        })
    }
}

/// Takes what stands at the start of a trace.
trait Begin {
    fn begin(&mut self, schema: &[u8], now: &crate::clock::ClockPoint);
}

impl<W: io::Write> Begin for Out<W> {
    fn begin(&mut self, schema: &[u8], now: &crate::clock::ClockPoint) {
        self.queue_plain(BlockKind::Schema, 0, schema);
        self.queue_clock(now);
    }
}
