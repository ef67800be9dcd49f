//! A recording: a file, a ring of shared memory for each lane, and a thread that empties the rings into the file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, InterfaceInfo};
use hypercall_core::{SharedPage, TransportError};

use super::drain::{Added, Drain, Finished, Shared, Storage, SyncPolicy};
use super::lane::{LaneWriter, Wait};
use super::pages::{Point, Watched};
use super::patient::Patient;
use super::recorder::{Lane, WatchError};
use super::redact::Redaction;
use super::waiting::{Beside, lane_block};
use crate::clock::{Clock, DefaultClock, Pace};
use crate::format::BlockKind;
use crate::format::out::{Compression, Out};
use crate::loss::LossCause;
use crate::ring::layout::{Geometry, LEAST_BLOCK, MAX_BLOCKS};
use crate::ring::{Busy, Full};

/// What the memory of a ring is a multiple of.
const RING_PAGE: usize = 4096;
/// What a child of `fork` is told.
const OF_THE_PARENT: &str = "the recording is that of the parent process";
/// Pages that a lane can watch.
const WATCHED: usize = 16;

/// How a recording is made.
#[derive(Debug)]
pub struct Recording<C: Clock + Clone = DefaultClock> {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Finished>>,
    interfaces: &'static [&'static InterfaceInfo],
    preamble: Vec<u8>,
    settings: Settings,
    clock: C,
    directory: PathBuf,
    own_directory: bool,
    /// What leads to the folder from where one would be by itself.
    signpost: Option<PathBuf>,
    rings: Mutex<Vec<PathBuf>>,
    names: Mutex<BTreeSet<String>>,
    lanes: AtomicU32,
    id: u64,
}

/// What can be chosen of a recording.
#[derive(Clone, Debug)]
struct Settings {
    full: Full,
    sync: SyncPolicy,
    redaction: Redaction,
    compression: Compression,
    ring: usize,
    blocks: usize,
    patience: Duration,
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
    /// Calls wait for the storage with [`Full::Block`], until about a second after this, and with [`SyncPolicy::EachCall`],
    /// at most this long; [`finish`](Recording::finish) and dropping a recording at most a few times as long. It should be
    /// longer than the slowest sync of a disk that works.
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
    /// Unix, a symbolic link of that name leads from there to the folder, so that whoever has the trace's file finds its rings:
    /// `hcall recover` follows it, and `hcall verify` tells of the folder. A link that a killed process left is removed by a later
    /// recording when its folder is gone.
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

    /// Starts a recording into a new file.
    ///
    /// # Errors
    /// As the operating system says: the file exists or cannot be written, the folder of the rings cannot be made.
    pub fn create(self, path: impl AsRef<Path>) -> io::Result<Recording<C>> {
        let path = path.as_ref();
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
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
        let shared = Arc::new(Shared::default());
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

/// Makes a folder that only this user can enter.
fn private_folder(path: &Path, may_exist: bool) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(may_exist).create(path)
}

/// Where folders of rings are, and links to them.
fn default_base() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        shm.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

/// What the number of a recording is found by there.
fn default_name(id: u64) -> String {
    format!("hypercall-{}-{id:016x}", std::process::id())
}

/// Lets the folder of the rings be found where it would be by itself. That there is no place for this fails no recording.
#[cfg(unix)]
fn signpost(directory: &Path, id: u64) -> Option<PathBuf> {
    let base = default_base();
    forget_gone(&base);
    let path = base.join(default_name(id));
    let directory = std::path::absolute(directory).ok()?;
    std::os::unix::fs::symlink(directory, &path)
        .is_ok()
        .then_some(path)
}

#[cfg(not(unix))]
const fn signpost(_: &Path, _: u64) -> Option<PathBuf> {
    None
}

/// Removes the links that killed recordings left to folders which are not there any more.
#[cfg(unix)]
fn forget_gone(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let process = name.as_ref().and_then(|name| {
            let (process, _) = name.strip_prefix("hypercall-")?.split_once('-')?;
            process.parse::<u32>().ok()
        });
        if let Some(process) = process
            && !Path::new("/proc").join(process.to_string()).exists()
            && let Ok(folder) = path.read_link()
            && folder.try_exists().is_ok_and(|exists| !exists)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Makes the file of a ring and maps it. All its pages exist: a full tmpfs is an error here, and not a signal later.
fn map_ring(path: &Path, bytes: usize) -> io::Result<memmap2::MmapRaw> {
    let said = |error: io::Error, advice: &str| {
        io::Error::new(
            error.kind(),
            format!("{}: {error}; {advice}", path.display()),
        )
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => said(
            error,
            "a recording that was killed left it there: recover it, or choose another folder for the rings",
        ),
        _ => said(error, "the folder of the rings must be writable"),
    })?;
    fill_and_map(&file, bytes).map_err(|error| {
        let _ = fs::remove_file(path);
        said(
            error,
            "a ring takes all of its memory at once: make it smaller, or choose another folder for the rings",
        )
    })
}

fn fill_and_map(mut file: &File, bytes: usize) -> io::Result<memmap2::MmapRaw> {
    let zeros = vec![0; 1 << 16];
    let mut left = bytes;
    while left != 0 {
        let part = left.min(zeros.len());
        file.write_all(zeros.get(..part).unwrap_or_default())?;
        left = left.saturating_sub(part);
    }
    memmap2::MmapOptions::new()
        .len(bytes)
        .populate()
        .map_raw(file)
}

impl<C: Clock + Clone + Send + 'static> Recording<C> {
    /// The number that tells this recording from others.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The folder of the rings.
    #[must_use]
    pub fn rings(&self) -> &Path {
        &self.directory
    }

    fn writer(&self, name: &str) -> io::Result<LaneWriter<'static, C, Vec<Watched>>> {
        if !self.shared.is_here() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("{OF_THE_PARENT}: start one of this process's own"),
            ));
        }
        let names = || self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names().insert(name.into()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!(
                    "the recording has a lane {name:?} already: a lane is found by its name, so give this one another; where threads \
                     are to share one, take a shared lane"
                ),
            ));
        }
        self.new_writer(name).inspect_err(|_| {
            names().remove(name);
        })
    }

    fn new_writer(&self, name: &str) -> io::Result<LaneWriter<'static, C, Vec<Watched>>> {
        let lane = self.lanes.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("lane-{lane}.ring"));
        let settings = &self.settings;
        let mut preamble = self.preamble.clone();
        preamble.extend_from_slice(&lane_block(self.id, lane, name, 0)?);
        let bytes = settings
            .ring
            .checked_next_multiple_of(RING_PAGE)
            .unwrap_or(settings.ring);
        let least = Geometry::least(settings.blocks, preamble.len(), RING_PAGE);
        let too_small = || {
            let told = format!(
                "a ring of {} bytes is too small for {} blocks of at least {LEAST_BLOCK} bytes behind the description of itself and \
                 of the calls: it needs {least} bytes",
                settings.ring,
                settings.blocks.clamp(2, MAX_BLOCKS),
            );
            io::Error::new(io::ErrorKind::InvalidInput, told)
        };
        if bytes < least {
            return Err(too_small());
        }
        let map = map_ring(&path, bytes)?;
        if let Ok(mut rings) = self.rings.lock() {
            rings.push(path);
        }
        let (producer, consumer) = crate::ring::mapped(
            map,
            settings.blocks,
            settings.full,
            &preamble,
            self.id,
            lane,
        )
        .ok_or_else(too_small)?;
        self.shared.add(Added {
            lane,
            name: name.into(),
            consumer,
        });
        Ok(LaneWriter::new(
            producer,
            self.clock.clone(),
            self.interfaces,
            settings.redaction,
            vec![Watched::new(); WATCHED],
            Wait::for_this_process(),
        ))
    }

    /// A lane for one thread at a time: the fast one.
    ///
    /// # Errors
    /// [`AlreadyExists`](io::ErrorKind::AlreadyExists) where the recording has a lane of this name,
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where the ring is too small for its blocks,
    /// [`Unsupported`](io::ErrorKind::Unsupported) in a child of `fork`; else as the operating system says, when the memory of the ring cannot be had.
    pub fn lane(&self, name: &str) -> io::Result<FileLane<C>> {
        let writer = self.writer(name)?;
        Ok(FileLane {
            busy: writer.producer.busy(),
            writer: RefCell::new(writer),
            announce: self.announce(),
        })
    }

    /// A lane for many threads: up to `width` calls at a time, recorded in the lanes `name`, `name.1`, and so on. Which of
    /// them a call takes is chance where calls overlap, so that such a trace is replayed by key. Further calls are
    /// made and counted as lost.
    ///
    /// # Errors
    /// As [`lane`](Self::lane).
    pub fn shared_lane(&self, name: &str, width: usize) -> io::Result<SharedLane<C>> {
        let first = self.writer(name)?;
        let busy = first.producer.busy();
        let mut writers = vec![Mutex::new(first)];
        for number in 1..width {
            let writer = self.writer(&format!("{name}.{number}"))?;
            writers.push(Mutex::new(writer));
        }
        Ok(SharedLane {
            writers,
            busy,
            announce: self.announce(),
        })
    }

    fn announce(&self) -> Option<Arc<Shared>> {
        (self.settings.sync == SyncPolicy::EachCall).then(|| Arc::clone(&self.shared))
    }

    /// Writes everything that the rings hold, ends the file with an index, and removes the rings. A call that is in
    /// flight now is in the file as one that never returned.
    ///
    /// What the storage did not take is said in the [`Finished`]; the rings stay then, so that nothing is lost, and what left
    /// them already (they [overwrite](Full::Overwrite)) is put into files beside them. `recover` reads both. A storage that
    /// panicked is said there too, and so is one that does not answer within the recording's
    /// [patience](RecordingOptions::patience). Calls that are made from now on are not recorded.
    pub fn finish(mut self) -> Finished {
        self.close()
    }
}

impl<C: Clock + Clone> Recording<C> {
    fn close(&mut self) -> Finished {
        let Some(thread) = self.thread.take() else {
            return Finished::default();
        };
        if !self.shared.is_here() {
            // A child of `fork`: the thread is its parent's, and so are the rings.
            drop(thread);
            return Finished {
                failures: 1,
                failure: Some(OF_THE_PARENT.into()),
                rings: Some(self.directory.clone()),
                ..Finished::default()
            };
        }
        self.shared.stop();
        let mut finished = thread.join().unwrap_or_else(|panic| {
            let said = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                .unwrap_or("without a text");
            Finished {
                failures: 1,
                failure: Some(format!("the storage panicked: {said}")),
                ..Finished::default()
            }
        });
        if finished.complete {
            if let Ok(rings) = self.rings.lock() {
                for ring in rings.iter() {
                    let _ = fs::remove_file(ring);
                }
            }
            if self.own_directory {
                let _ = fs::remove_dir(&self.directory);
            }
            if let Some(signpost) = &self.signpost {
                let _ = fs::remove_file(signpost);
            }
        } else {
            finished.rings = Some(self.directory.clone());
        }
        finished
    }
}

impl<C: Clock + Clone> Drop for Recording<C> {
    fn drop(&mut self) {
        self.close();
    }
}

/// Counts the calls that came while the lane was in use.
#[cold]
fn lose_busy<C: Clock>(busy: &Busy<'static>, writer: &mut LaneWriter<'static, C, Vec<Watched>>) {
    while busy.take() {
        writer.lose(LossCause::Busy);
    }
}

/// A lane of a [`Recording`], for one thread at a time.
#[derive(Debug)]
pub struct FileLane<C: Clock = DefaultClock> {
    writer: RefCell<LaneWriter<'static, C, Vec<Watched>>>,
    /// Calls that came while another one was in flight.
    busy: Busy<'static>,
    announce: Option<Arc<Shared>>,
}

impl<C: Clock> Lane for FileLane<C> {
    #[inline(always)]
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        issue: impl FnOnce([Arg<'_>; 2]) -> Result<i64, TransportError>,
    ) -> Result<i64, TransportError> {
        let Ok(mut writer) = self.writer.try_borrow_mut() else {
            // A transport that makes calls of its own through the same lane.
            self.busy.add();
            return issue(args);
        };
        if self.busy.any() {
            lose_busy(&self.busy, &mut writer);
        }
        let entered = || {
            let announce = self.announce.as_ref();
            announce.inspect(|shared| shared.announce()).is_some()
        };
        writer.around(info, args, entered, issue)
    }

    fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError> {
        let Ok(mut writer) = self.writer.try_borrow_mut() else {
            return Err(WatchError::InUse);
        };
        writer.watch(page)
    }

    fn note_pages(&self) {
        if let Ok(mut writer) = self.writer.try_borrow_mut() {
            writer.note(Point::Note);
        }
    }
}

/// A lane of a [`Recording`] for many threads.
#[derive(Debug)]
pub struct SharedLane<C: Clock = DefaultClock> {
    writers: Vec<Mutex<LaneWriter<'static, C, Vec<Watched>>>>,
    /// Calls for which there was no lane.
    busy: Busy<'static>,
    announce: Option<Arc<Shared>>,
}

impl<C: Clock> Lane for SharedLane<C> {
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        issue: impl FnOnce([Arg<'_>; 2]) -> Result<i64, TransportError>,
    ) -> Result<i64, TransportError> {
        let free = self
            .writers
            .iter()
            .find_map(|writer| match writer.try_lock() {
                Ok(writer) => Some(writer),
                // A call that panicked left its record as one that never returned; the lane is sound.
                Err(TryLockError::Poisoned(writer)) => Some(writer.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            });
        let Some(mut writer) = free else {
            self.busy.add();
            return issue(args);
        };
        if self.busy.any() {
            lose_busy(&self.busy, &mut writer);
        }
        let entered = || {
            let announce = self.announce.as_ref();
            announce.inspect(|shared| shared.announce()).is_some()
        };
        writer.around(info, args, entered, issue)
    }

    /// Watched by the first of the lanes.
    fn watch(&self, page: &'static SharedPage) -> Result<u32, WatchError> {
        match self.writers.first().map(Mutex::try_lock) {
            Some(Ok(mut writer)) => writer.watch(page),
            Some(Err(TryLockError::Poisoned(writer))) => writer.into_inner().watch(page),
            Some(Err(TryLockError::WouldBlock)) | None => Err(WatchError::InUse),
        }
    }

    fn note_pages(&self) {
        match self.writers.first().map(Mutex::try_lock) {
            Some(Ok(mut writer)) => writer.note(Point::Note),
            Some(Err(TryLockError::Poisoned(writer))) => writer.into_inner().note(Point::Note),
            // The call in flight notes it when it returns.
            Some(Err(TryLockError::WouldBlock)) | None => {}
        }
    }
}
