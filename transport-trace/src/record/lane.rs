//! What happens around one call: a record is reserved and filled, the call is made, the record is completed.

use hypercall_core::arg::Arg;
use hypercall_core::call::{CallInfo, InterfaceInfo, RegisterInfo};
use hypercall_core::schema::Role;
use hypercall_core::{SharedPage, Transport, TransportError};

use super::answer::{put_answer, put_texts};
use super::argument::needs;
use super::memory::{put, put_linked, put_written};
use super::pages::{self, Looks, Point, Watched};
use super::recorder::WatchError;
use super::redact::{Calls, Redaction};
use super::room::{Wait, reserve};
use crate::clock::Clock;
use crate::format::record::{CALL_HEAD, EXIT_ROOM, kind, shape};
use crate::loss::LossCause;
use crate::ring::{Producer, Short};

/// The writing end of a lane: it wraps calls in records. One call at a time.
#[derive(Debug)]
pub(crate) struct LaneWriter<'m, C, W = [Watched; 0]> {
    pub(crate) producer: Producer<'m>,
    pub(super) clock: C,
    pub(super) calls: Calls<'m>,
    redaction: Redaction,
    watched: W,
    /// Whether any page is watched.
    watching: bool,
    looks: Looks,
    /// What to do while the ring is full and calls wait for room.
    wait: Wait,
}

/// A call that was entered: where its record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    pub(super) at: usize,
    /// Where in it the bytes of its blocks start.
    pub(super) memory: usize,
    /// The checksum of the enter part.
    pub(super) crc: u32,
    /// When the call was made, or about to be.
    pub(super) ticks: u64,
    pub(super) written: bool,
    pub(super) secret: bool,
}

impl<'m, C: Clock, W: AsMut<[Watched]>> LaneWriter<'m, C, W> {
    pub(crate) fn new(
        producer: Producer<'m>,
        clock: C,
        interfaces: &'m [&'static InterfaceInfo],
        redaction: Redaction,
        watched: W,
        wait: Wait,
    ) -> Self {
        Self {
            producer,
            clock,
            calls: Calls::new(interfaces),
            redaction,
            watched,
            watching: false,
            looks: Looks::default(),
            wait,
        }
    }

    /// Watches a page from now on. Its number in this lane.
    pub(crate) fn watch(&mut self, page: &'static SharedPage) -> Result<u32, WatchError> {
        let number = pages::add(self.watched.as_mut(), page).ok_or(WatchError::NoRoom)?;
        self.watching = true;
        Ok(number)
    }

    /// Notes what changed in the watched pages.
    #[inline]
    pub(crate) fn note(&mut self, point: Point) {
        if self.watching {
            let wait = self.wait;
            pages::note(
                self.watched.as_mut(),
                &mut self.looks,
                &mut self.producer,
                &self.clock,
                point,
                |producer, need| reserve(producer, need, wait).map(drop),
            );
        }
    }

    /// Notes a call that cannot be recorded.
    #[cold]
    pub(crate) fn lose(&mut self, cause: LossCause) {
        let ticks = self.clock.now();
        self.producer.lose(cause, ticks);
    }

    /// Finds room. Whether the call waited for it.
    #[inline(always)]
    fn reserve(&mut self, need: usize) -> Result<bool, LossCause> {
        reserve(&mut self.producer, need, self.wait)
    }

    /// Records a call and makes it through `transport`. `entered` is run when the call is recorded and not made yet; it says
    /// whether that took long. What a call waits for its record is no part of its duration.
    ///
    /// There are two ways through here: a short one for values and at most one block, and one for the rest. The records are the same,
    /// but that much memory has a sum of lines on the short one. What is on this page of the short one, for a block that is only
    /// read, is all scalars to the compiler.
    ///
    /// Not `inline(always)`: the compiler then copies the arguments, which it otherwise hands on where they are.
    #[inline]
    pub(crate) fn around(
        &mut self,
        info: &'static CallInfo,
        args: [Arg<'_>; 2],
        entered: impl FnOnce() -> bool,
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        self.note(Point::Enter);
        let Some(id) = self.calls.plain(info) else {
            return self.any(info, args, entered, transport);
        };
        // Fields are copied out of the arguments, which are not borrowed: the compiler then hands them on where they are. Copied,
        // they would be read wider than they were just written, for which processors wait.
        let mut part: &[u8] = &[];
        let (first, rdi) = match args[0] {
            Arg::Value(value) => (shape::VALUE, value),
            Arg::Read(bytes) => {
                part = bytes;
                (shape::READ, bytes.len() as u64)
            }
            Arg::None => (shape::NONE, 0),
            _ => return self.written(info, args, entered, transport),
        };
        let (second, rsi) = match args[1] {
            Arg::Value(value) => (shape::VALUE, value),
            Arg::Read(bytes) if part.is_empty() => {
                part = bytes;
                (shape::READ, bytes.len() as u64)
            }
            Arg::None => (shape::NONE, 0),
            _ => return self.written(info, args, entered, transport),
        };
        let head = [rdi, rsi, info.number];
        let tags = tags(id, first, second);
        let Some((short, ticks)) = self
            .producer
            .enter_short(head, tags, part, 0, || self.clock.now())
            .or_else(|| self.enter_later(head, tags, part))
        else {
            return self.any(info, args, entered, transport);
        };
        let ticks = if entered() { self.clock.now() } else { ticks };
        // Taken apart and made anew, for the same reason.
        match transport.call(info, args) {
            Ok(rax) => {
                let duration = self.clock.now().saturating_sub(ticks);
                self.producer
                    .exit_short(short, duration, rax.cast_unsigned());
                self.note(Point::Exit);
                Ok(rax)
            }
            Err(error) => {
                let duration = self.clock.now().saturating_sub(ticks);
                let outcome = Err(error);
                self.fail(short.at(), short.crc(), &outcome, duration);
                outcome
            }
        }
    }

    /// Finds room for a call, and enters it on the short way after all.
    #[cold]
    #[inline(never)]
    fn enter_later(&mut self, head: [u64; 3], tags: u32, part: &[u8]) -> Option<(Short, u64)> {
        self.producer.open_for(part.len()).then_some(())?;
        self.producer
            .enter_short(head, tags, part, 0, || self.clock.now())
    }

    /// Records a call of any kind.
    #[inline(never)]
    pub(super) fn any(
        &mut self,
        info: &'static CallInfo,
        args: [Arg<'_>; 2],
        entered: impl FnOnce() -> bool,
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let (id, secret) = self.calls.find(info);
        let mut pending = self.enter_any(info, id, secret, &args);
        if let Some(pending) = &mut pending
            && entered()
        {
            pending.ticks = self.clock.now();
        }
        self.complete(pending, info, args, transport)
    }

    /// Records that a call is about to be made. `None` when it cannot be recorded, which is counted.
    #[inline(never)]
    fn enter_any(
        &mut self,
        info: &'static CallInfo,
        id: u16,
        secret: bool,
        args: &[Arg<'_>; 2],
    ) -> Option<Pending> {
        let mut ticks = self.clock.now();
        let [first, second] = [needs(&args[0]), needs(&args[1])];
        let written = shape::written(first.shape) || shape::written(second.shape);
        let enter = CALL_HEAD
            .saturating_add(first.enter)
            .saturating_add(second.enter);
        let most = enter
            .saturating_add(EXIT_ROOM)
            .saturating_add(first.exit)
            .saturating_add(second.exit);
        match self.reserve(most) {
            Ok(false) => {}
            Ok(true) => ticks = self.clock.now(),
            Err(cause) => {
                self.producer.lose(cause, ticks);
                return None;
            }
        }
        let [mut rdi, mut rsi] = [first.slot, second.slot];
        if secret {
            [rdi, rsi] = self.hide_registers(info, args, [rdi, rsi]);
        }
        let mut record = self.producer.begin();
        record.word(ticks);
        record.word(rdi);
        record.word(rsi);
        record.word(info.number);
        // A record has less than 2^24 words.
        let tags = u64::from(tags(id, first.shape, second.shape));
        record.word(tags | ((enter as u64 / 8) << 32));
        let hide = secret.then_some(&self.redaction);
        for (argument, register) in args.iter().zip(&info.registers) {
            match argument {
                Arg::None | Arg::Value(_) | Arg::Write(_) => {}
                Arg::Read(bytes) => put(&mut record, bytes, register, hide),
                Arg::ReadWrite(bytes) => put(&mut record, bytes, register, hide),
                Arg::Linked(linked) => {
                    put_linked(&mut record, linked, register, hide, self.watched.as_mut());
                }
            }
        }
        let at = record.start();
        let crc = record.publish(kind::ENTERED);
        self.producer.count_call();
        Some(Pending {
            at,
            memory: CALL_HEAD,
            crc,
            ticks,
            written,
            secret,
        })
    }

    /// Records that a call that was entered on the short way had no answer.
    #[cold]
    pub(super) fn fail(
        &mut self,
        at: usize,
        crc: u32,
        outcome: &Result<i64, TransportError>,
        duration: u64,
    ) {
        let mut record = self.producer.resume(at, crc);
        let (kind, texts) = put_answer(&mut record, duration, outcome);
        if kind == kind::FAILED {
            put_texts(&mut record, texts);
        }
        record.publish(kind);
        self.note(Point::Exit);
    }

    /// Makes a call that was entered, and records what came of it.
    fn complete(
        &mut self,
        pending: Option<Pending>,
        info: &'static CallInfo,
        mut args: [Arg<'_>; 2],
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let Some(pending) = pending else {
            return transport.call(info, args);
        };
        let outcome = transport.call(info, hypercall_core::arg::reborrow(&mut args));
        let duration = self.clock.now().saturating_sub(pending.ticks);
        self.exit_any(pending, info, &args, &outcome, duration);
        outcome
    }

    #[cold]
    fn hide_registers(
        &self,
        info: &'static CallInfo,
        args: &[Arg<'_>; 2],
        mut slots: [u64; 2],
    ) -> [u64; 2] {
        for ((argument, register), slot) in args.iter().zip(&info.registers).zip(&mut slots) {
            if let (
                Arg::Value(value),
                RegisterInfo::Value {
                    role: Role::Secret, ..
                },
            ) = (argument, register)
            {
                *slot = self.redaction.value(*value);
            }
        }
        slots
    }

    #[inline(never)]
    pub(super) fn exit_any(
        &mut self,
        pending: Pending,
        info: &'static CallInfo,
        args: &[Arg<'_>; 2],
        outcome: &Result<i64, TransportError>,
        duration: u64,
    ) {
        let mut record = self.producer.resume(pending.at, pending.crc);
        let (kind, texts) = put_answer(&mut record, duration, outcome);
        if pending.written {
            put_written(
                &mut record,
                pending.at.saturating_add(pending.memory),
                pending.secret,
                info,
                args,
                &self.redaction,
            );
        }
        if kind == kind::FAILED {
            put_texts(&mut record, texts);
        }
        record.publish(kind);
        self.note(Point::Exit);
    }
}

/// The low half of the last word of a call's head.
#[inline(always)]
pub(super) fn tags(id: u16, first: u8, second: u8) -> u32 {
    u32::from(id) | (u32::from(first) << 16) | (u32::from(second) << 24)
}
