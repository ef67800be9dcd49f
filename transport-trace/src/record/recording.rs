//! A recording: a file, a ring of shared memory for each lane, and a thread that empties the rings into the file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use hypercall_core::call::InterfaceInfo;

use super::file_lane::{FileLane, SharedLane};
use super::lane::LaneWriter;
use super::options::Settings;
use super::pages::Watched;
use super::rings::{Held, map_ring};
use super::room::Wait;
use super::shared::{Added, Shared};
use super::storage::{Finished, SyncPolicy};
use super::waiting::lane_block;
use crate::clock::{Clock, DefaultClock};
use crate::ring::layout::{Geometry, LEAST_BLOCK, MAX_BLOCKS};

/// What the memory of a ring is a multiple of.
const RING_PAGE: usize = 4096;
/// What a child of `fork` is told.
const OF_THE_PARENT: &str = "the recording is that of the parent process";
/// Pages that a lane can watch.
const WATCHED: usize = 16;

/// A recording that is under way.
#[derive(Debug)]
pub struct Recording<C: Clock + Clone = DefaultClock> {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Option<JoinHandle<Finished>>,
    pub(super) interfaces: &'static [&'static InterfaceInfo],
    pub(super) preamble: Vec<u8>,
    pub(super) settings: Settings,
    pub(super) clock: C,
    pub(super) directory: PathBuf,
    pub(super) own_directory: bool,
    /// What leads to the folder from where one would be by itself.
    pub(super) signpost: Option<PathBuf>,
    pub(super) rings: Mutex<Vec<PathBuf>>,
    pub(super) names: Mutex<BTreeSet<String>>,
    /// What says that this goes on.
    pub(super) held: Option<Held>,
    pub(super) lanes: AtomicU32,
    pub(super) id: u64,
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
        crate::wire::fits_name(name)?;
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
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) where the ring is too small for its blocks, or the name has more than 256 bytes,
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
    /// them already (they [overwrite](super::Full::Overwrite)) is put into files beside them. `recover` reads both. A storage that
    /// panicked is said there too, and so is one that does not answer within the recording's
    /// [patience](super::RecordingOptions::patience). Calls that are made from now on are not recorded.
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
            // A child of `fork`: the thread is its parent's, and so are the rings. To drop the handle would detach a thread: after
            // a fork the stacks of the threads that are gone go to new ones, and with them their names to the system, so that
            // it would be one of the child's own.
            std::mem::forget(thread);
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
            if let Some(held) = self.held.take() {
                held.remove();
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
