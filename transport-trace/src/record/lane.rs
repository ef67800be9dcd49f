//! What happens around one call: a record is reserved and filled, the call is made, the record is completed.

use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::{CallInfo, InterfaceInfo, LinkTarget, RegisterInfo};
use hypercall_core::schema::{Kind, Role};
use hypercall_core::{Hazard, LayerRefusal, SharedPage, SharedRef, Transport, TransportError};

use super::pages::{self, Looks, Point, Watched};
use super::recorder::WatchError;
use super::redact::{Calls, Redaction};
use crate::clock::Clock;
use crate::format::record::{CALL_HEAD, EXIT_ROOM, MAX_TEXT, failure, kind, padded, shape};
use crate::loss::LossCause;
use crate::ring::{Full, Producer, Record};

/// The writing end of a lane: it wraps calls in records. One call at a time.
#[derive(Debug)]
pub(crate) struct LaneWriter<'m, C, W = [Watched; 0]> {
    pub(crate) producer: Producer<'m>,
    clock: C,
    calls: Calls<'m>,
    redaction: Redaction,
    watched: W,
    /// Whether any page is watched.
    watching: bool,
    looks: Looks,
    /// What to do while the ring is full and calls wait for room.
    wait: Wait,
}

/// How to wait for room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait {
    /// The process that empties the ring; 0 where nobody can be waited for.
    pub(crate) process: u32,
    /// Waits a moment. Whether to look again: a child of `fork` has not got the thread that empties its ring.
    pub(crate) moment: fn(u32) -> bool,
}

impl Wait {
    /// Nobody empties the ring meanwhile.
    #[cfg(not(loom))]
    pub(crate) const NEVER: Self = Self {
        process: 0,
        moment: |_| false,
    };

    /// Waits for a thread of this process.
    #[cfg(all(feature = "std", not(loom)))]
    pub(crate) fn for_this_process() -> Self {
        Self {
            process: std::process::id(),
            moment: |process| {
                let here = process == std::process::id();
                if here {
                    std::thread::sleep(core::time::Duration::from_micros(50));
                }
                here
            },
        }
    }
}

/// A call that was entered: where its record is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    at: usize,
    /// The checksum of the enter part.
    crc: u32,
    /// When the call was made, or about to be.
    ticks: u64,
    written: bool,
    secret: bool,
}

/// What an argument needs in a record.
#[derive(Clone, Copy)]
struct Needs {
    shape: u8,
    slot: u64,
    /// Bytes in the enter part.
    enter: usize,
    /// Bytes in the exit part, at most.
    exit: usize,
}

fn needs(argument: &Arg<'_>) -> Needs {
    let simple = |shape, length: usize, enter, exit| Needs {
        shape,
        // A block of 4 GiB does not fit a ring, so that the length is never wrong in a record.
        slot: length as u64,
        enter: if enter { padded(length) } else { 0 },
        exit: if exit { padded(length) } else { 0 },
    };
    match argument {
        Arg::None => Needs {
            shape: shape::NONE,
            slot: 0,
            enter: 0,
            exit: 0,
        },
        Arg::Value(value) => Needs {
            shape: shape::VALUE,
            slot: *value,
            enter: 0,
            exit: 0,
        },
        Arg::Read(bytes) => simple(shape::READ, bytes.len(), true, false),
        Arg::Write(bytes) => simple(shape::WRITE, bytes.len(), false, true),
        Arg::ReadWrite(bytes) => simple(shape::READ_WRITE, bytes.len(), true, true),
        Arg::Linked(linked) => linked_needs(linked),
    }
}

fn linked_needs(linked: &Linked<'_>) -> Needs {
    let (shape, nested, written) = match &linked.target {
        Target::Read(bytes) => (shape::LINKED_READ, padded(bytes.len()), 0),
        Target::ReadWrite(bytes) => (
            shape::LINKED_READ_WRITE,
            padded(bytes.len()),
            padded(bytes.len()),
        ),
        Target::Shared(SharedRef::Pages(_)) => (shape::LINKED_PAGES, 0, 0),
        Target::Shared(SharedRef::Address(_)) => (shape::LINKED_ADDRESS, 0, 0),
    };
    Needs {
        shape,
        slot: linked.header.len() as u64 | ((linked.offset as u64) << 32),
        enter: padded(linked.header.len())
            .saturating_add(8)
            .saturating_add(nested),
        exit: written,
    }
}

/// How the memory of an argument is described: that of the register's block, and that of the nested one.
fn kinds(register: &RegisterInfo) -> (Option<&Kind>, Option<(&Kind, usize)>) {
    match register {
        RegisterInfo::Block { kind, link, .. } => (
            Some(kind),
            link.as_ref().and_then(|link| match &link.target {
                LinkTarget::Array { kind, size, .. } => Some((kind, *size)),
                LinkTarget::Shared => None,
            }),
        ),
        _ => (None, None),
    }
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

    /// Records a call and makes it through `transport`. `entered` is run when the call is recorded and not made yet; it says whether that took
    /// long. What a call waits for its record is no part of its duration.
    ///
    /// There are two ways through here: a short one for values and blocks that are read, which is all scalars to the
    /// compiler, and one for the rest. The records are the same.
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
            _ => return self.any(info, args, entered, transport),
        };
        let (second, rsi) = match args[1] {
            Arg::Value(value) => (shape::VALUE, value),
            Arg::Read(bytes) if part.is_empty() => {
                part = bytes;
                (shape::READ, bytes.len() as u64)
            }
            Arg::None => (shape::NONE, 0),
            _ => return self.any(info, args, entered, transport),
        };
        let head = [rdi, rsi, info.number];
        let Some((short, ticks)) =
            self.producer
                .enter_short(head, tags(id, first, second), part, || self.clock.now())
        else {
            return self.any(info, args, entered, transport);
        };
        let ticks = if entered() { self.clock.now() } else { ticks };
        // Taken apart and made anew, for the same reason.
        match transport.call(info, args) {
            Ok(rax) => {
                let duration = self.clock.now().saturating_sub(ticks);
                if self
                    .producer
                    .exit_short(short, duration, rax.cast_unsigned())
                {
                    self.note(Point::Exit);
                } else {
                    self.exit_otherwise(short.at(), short.crc(), &Ok(rax), duration);
                }
                Ok(rax)
            }
            Err(error) => {
                let duration = self.clock.now().saturating_sub(ticks);
                let outcome = Err(error);
                self.exit_otherwise(short.at(), short.crc(), &outcome, duration);
                outcome
            }
        }
    }

    /// Records a call of any kind.
    #[inline(never)]
    fn any(
        &mut self,
        info: &'static CallInfo,
        args: [Arg<'_>; 2],
        entered: impl FnOnce() -> bool,
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let ticks = self.clock.now();
        let (id, secret) = self.calls.find(info);
        let mut pending = self.enter_any(info, id, secret, ticks, &args);
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
        mut ticks: u64,
        args: &[Arg<'_>; 2],
    ) -> Option<Pending> {
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
            crc,
            ticks,
            written,
            secret,
        })
    }

    /// Records what came of a call that was entered on the short way, and cannot be told on it. Nothing was written.
    #[cold]
    fn exit_otherwise(
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
    fn exit_any(
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
            put_written(&mut record, pending, info, args, &self.redaction);
        }
        if kind == kind::FAILED {
            put_texts(&mut record, texts);
        }
        record.publish(kind);
        self.note(Point::Exit);
    }
}

/// Finds room in the ring, and waits for it where the policy says so. Whether it waited.
#[inline(always)]
fn reserve(producer: &mut Producer<'_>, need: usize, wait: Wait) -> Result<bool, LossCause> {
    match producer.reserve(need) {
        Err(LossCause::RingFull) if producer.full() == Full::Block => {
            wait_for_room(producer, need, wait).map(|()| true)
        }
        other => other.map(|()| false),
    }
}

#[cold]
fn wait_for_room(producer: &mut Producer<'_>, need: usize, wait: Wait) -> Result<(), LossCause> {
    loop {
        match producer.reserve(need) {
            Err(LossCause::RingFull) if !producer.is_closed() && (wait.moment)(wait.process) => {}
            other => return other,
        }
    }
}

/// The low half of the last word of a call's head.
#[inline(always)]
fn tags(id: u16, first: u8, second: u8) -> u32 {
    u32::from(id) | (u32::from(first) << 16) | (u32::from(second) << 24)
}

/// Puts the memory of an argument.
fn put(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    register: &RegisterInfo,
    hide: Option<&Redaction>,
) {
    match hide {
        None => record.bytes(bytes),
        Some(redaction) => {
            let kind = kinds(register).0;
            put_hidden(record, bytes, kind.map(|kind| (kind, None)), redaction);
        }
    }
}

/// Puts memory with its secrets replaced. A size says that it is an array of elements of that size.
#[cold]
fn put_hidden(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    kind: Option<(&Kind, Option<usize>)>,
    redaction: &Redaction,
) {
    // A secret does not touch the ring, not even for a moment.
    let to = put_zeros(record, bytes.len());
    let mut place = |at: usize, part: &[u8]| record.overwrite(to.saturating_add(at), part);
    match kind {
        Some((kind, Some(size))) => redaction.copy_array(kind, size, bytes, 0, &mut place),
        Some((kind, None)) => redaction.copy(kind, bytes, 0, &mut place),
        None => place(0, bytes),
    }
}

/// Puts zeros, to be overwritten. Where they are.
fn put_zeros(record: &mut Record<'_, '_>, length: usize) -> usize {
    let at = record.at();
    for _ in 0..padded(length) / 8 {
        record.word(0);
    }
    at
}

/// Puts the nested memory of an argument.
fn put_nested(
    record: &mut Record<'_, '_>,
    bytes: &[u8],
    register: &RegisterInfo,
    hide: Option<&Redaction>,
) {
    match hide {
        None => record.bytes(bytes),
        Some(redaction) => {
            let element = kinds(register).1.map(|(kind, size)| (kind, Some(size)));
            put_hidden(record, bytes, element, redaction);
        }
    }
}

fn put_linked(
    record: &mut Record<'_, '_>,
    linked: &Linked<'_>,
    register: &RegisterInfo,
    hide: Option<&Redaction>,
    watched: &[Watched],
) {
    let header = record.at();
    if hide.is_some() {
        put(record, linked.header, register, hide);
    } else {
        put_zeros(record, linked.header.len());
        record.overwrite(header, linked.header);
    }
    // Whoever called this before may have left an address there.
    record.overwrite(header.saturating_add(linked.offset), &[0; 8]);
    match &linked.target {
        Target::Read(bytes) => {
            record.word(bytes.len() as u64);
            put_nested(record, bytes, register, hide);
        }
        Target::ReadWrite(bytes) => {
            record.word(bytes.len() as u64);
            put_nested(record, bytes, register, hide);
        }
        Target::Shared(SharedRef::Address(gpa)) => record.word(gpa.0),
        Target::Shared(SharedRef::Pages(shared)) => {
            let number = shared
                .first()
                .and_then(|page| pages::number_of(watched, page))
                .map_or(0, |number| number.saturating_add(1));
            let count = u32::try_from(shared.len()).unwrap_or(u32::MAX);
            record.word(u64::from(count) | (u64::from(number) << 32));
        }
    }
}

/// Puts which memory was written, and that memory.
fn put_written(
    record: &mut Record<'_, '_>,
    pending: Pending,
    info: &'static CallInfo,
    args: &[Arg<'_>; 2],
    redaction: &Redaction,
) {
    let hide = pending.secret.then_some(redaction);
    // Where the bytes before the call are.
    let mut before = pending.at.saturating_add(CALL_HEAD);
    let mut changed = [false; 2];
    for (argument, changed) in args.iter().zip(&mut changed) {
        *changed = match argument {
            Arg::Write(bytes) => bytes.iter().any(|byte| *byte != 0),
            Arg::ReadWrite(bytes) => hide.is_some() || !record.holds(before, bytes),
            Arg::Linked(Linked {
                header,
                target: Target::ReadWrite(bytes),
                ..
            }) => {
                let nested = before
                    .saturating_add(padded(header.len()))
                    .saturating_add(8);
                hide.is_some() || !record.holds(nested, bytes)
            }
            _ => false,
        };
        before = before.saturating_add(needs(argument).enter);
    }
    let bit = |argument: &Arg<'_>, changed: bool, first: u64| match argument {
        _ if !changed => 0,
        Arg::Linked(_) => first << 1,
        _ => first,
    };
    let [first, second] = args;
    record.word(bit(first, changed[0], 1) | bit(second, changed[1], 4));
    for ((argument, register), changed) in args.iter().zip(&info.registers).zip(changed) {
        match argument {
            Arg::Write(bytes) | Arg::ReadWrite(bytes) if changed => {
                put(record, bytes, register, hide);
            }
            Arg::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) if changed => {
                put_nested(record, bytes, register, hide);
            }
            _ => {}
        }
    }
}

/// Puts the head of an exit part. The record's kind, and the texts of a failure.
fn put_answer(
    record: &mut Record<'_, '_>,
    duration: u64,
    outcome: &Result<i64, TransportError>,
) -> (u8, [&'static str; 2]) {
    let (kind, answer, texts) = match outcome {
        Ok(rax) => (kind::RETURNED, rax.cast_unsigned(), ["", ""]),
        Err(error) => {
            let (answer, texts) = failure(error);
            (kind::FAILED, answer, texts)
        }
    };
    record.words([duration, answer]);
    (kind, texts)
}

#[cold]
fn put_texts(record: &mut Record<'_, '_>, texts: [&str; 2]) {
    let mut bytes = [0; 2 * MAX_TEXT];
    let [first, second] = texts.map(str::as_bytes);
    crate::format::put(&mut bytes, 0, first);
    crate::format::put(&mut bytes, first.len(), second);
    let length = first.len().saturating_add(second.len());
    record.bytes(bytes.get(..length).unwrap_or_default());
}

/// A failure as the answer's bytes and two texts.
#[cold]
fn failure(error: &TransportError) -> (u64, [&'static str; 2]) {
    let (code, detail, texts) = match *error {
        TransportError::Untranslatable { register, nested } => (
            failure::UNTRANSLATABLE,
            (register & 1) | (u8::from(nested) << 1),
            ["", ""],
        ),
        TransportError::Layer(LayerRefusal { layer, reason }) => {
            (failure::LAYER, 0, [layer, reason])
        }
        TransportError::Dead(Hazard::Crashed(why)) => (failure::CRASHED, 0, [why, ""]),
        TransportError::Dead(Hazard::Hung(why)) => (failure::HUNG, 0, [why, ""]),
        TransportError::Fault(vector) => (failure::FAULT, vector, ["", ""]),
        TransportError::Unsupported(why) => (failure::UNSUPPORTED, 0, [why, ""]),
        TransportError::Unexpected(why) => (failure::UNEXPECTED, 0, [why, ""]),
        TransportError::Lost(why) => (failure::LOST, 0, [why, ""]),
        _ => (
            failure::OTHER,
            0,
            ["a failure that this recorder does not know", ""],
        ),
    };
    let texts = texts.map(|text| {
        text.get(..text.floor_char_boundary(MAX_TEXT))
            .unwrap_or(text)
    });
    let [first, second] = texts.map(|text| u16::try_from(text.len()).unwrap_or(0).to_le_bytes());
    let answer = [code, detail, 0, 0, first[0], first[1], second[0], second[1]];
    (u64::from_le_bytes(answer), texts)
}

#[cfg(all(test, feature = "std", not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{Full, LossCause, Wait, kind, reserve};

    /// A child of `fork` has its parent's number in its lanes, and nobody empties its ring.
    #[test]
    fn no_call_waits_for_a_thread_of_another_process() {
        let mut memory = [0_u64; 400];
        let (mut producer, _consumer) = crate::ring::borrowed(&mut memory, 2, Full::Block).unwrap();
        let here = Wait::for_this_process();
        let wait = Wait {
            process: here.process ^ 1,
            ..here
        };
        let results: Vec<_> = (0..10)
            .map(|_| {
                let result = reserve(&mut producer, 512, wait);
                if result.is_ok() {
                    let mut record = producer.begin();
                    record.bytes(&[7; 500]);
                    record.publish(kind::RETURNED);
                }
                result
            })
            .collect();
        assert_eq!(results.first(), Some(&Ok(false)));
        assert_eq!(results.last(), Some(&Err(LossCause::RingFull)));
    }
}
