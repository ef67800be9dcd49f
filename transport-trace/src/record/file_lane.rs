//! The lanes of a recording: one for one thread at a time, and one for many.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, TryLockError};

use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{SharedPage, Transport, TransportError};

use super::lane::LaneWriter;
use super::pages::{Point, Watched};
use super::recorder::{Lane, WatchError};
use super::shared::Shared;
use crate::clock::{Clock, DefaultClock};
use crate::loss::LossCause;
use crate::ring::Busy;

/// Counts the calls that came while the lane was in use.
#[cold]
fn lose_busy<C: Clock>(busy: &Busy<'static>, writer: &mut LaneWriter<'static, C, Vec<Watched>>) {
    while busy.take() {
        writer.lose(LossCause::Busy);
    }
}

/// A lane of a [`Recording`](super::Recording), for one thread at a time.
#[derive(Debug)]
pub struct FileLane<C: Clock = DefaultClock> {
    pub(super) writer: RefCell<LaneWriter<'static, C, Vec<Watched>>>,
    /// Calls that came while another one was in flight.
    pub(super) busy: Busy<'static>,
    pub(super) announce: Option<Arc<Shared>>,
}

impl<C: Clock> Lane for FileLane<C> {
    #[inline(always)]
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let Ok(mut writer) = self.writer.try_borrow_mut() else {
            // A transport that makes calls of its own through the same lane.
            self.busy.add();
            return transport.call(info, args);
        };
        if self.busy.any() {
            lose_busy(&self.busy, &mut writer);
        }
        let entered = || {
            let announce = self.announce.as_ref();
            announce.inspect(|shared| shared.announce()).is_some()
        };
        writer.around(info, args, entered, transport)
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

/// A lane of a [`Recording`](super::Recording) for many threads.
#[derive(Debug)]
pub struct SharedLane<C: Clock = DefaultClock> {
    pub(super) writers: Vec<Mutex<LaneWriter<'static, C, Vec<Watched>>>>,
    /// Calls for which there was no lane.
    pub(super) busy: Busy<'static>,
    pub(super) announce: Option<Arc<Shared>>,
}

impl<C: Clock> Lane for SharedLane<C> {
    fn record<'a>(
        &self,
        info: &'static CallInfo,
        args: [Arg<'a>; 2],
        transport: &(impl Transport + ?Sized),
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
            return transport.call(info, args);
        };
        if self.busy.any() {
            lose_busy(&self.busy, &mut writer);
        }
        let entered = || {
            let announce = self.announce.as_ref();
            announce.inspect(|shared| shared.announce()).is_some()
        };
        writer.around(info, args, entered, transport)
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
