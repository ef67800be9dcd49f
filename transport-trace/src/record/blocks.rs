//! Calls with one block that is written, or that points at another one, on the short way into the ring.

use hypercall_core::arg::{Arg, Linked, Target};
use hypercall_core::call::CallInfo;
use hypercall_core::{Transport, TransportError};

use super::argument::{Written, needs};
use super::lane::{LaneWriter, Pending, tags};
use super::pages::{Point, Watched};
use crate::clock::Clock;
use crate::format::record::padded;

/// The most bytes of a block and of what it points at that are gathered. More take the long way.
const GATHERED: usize = 512;

/// The registers of a call, and how they carry what they do.
struct Registers {
    slots: [u64; 2],
    shapes: [u8; 2],
}

/// A block, what it points at, and between them how long that is, as they stand in a record. `None` where this is not the only memory
/// of the call, where the hypervisor may write it, or where it is too much.
fn gather<'r>(args: &[Arg<'_>; 2], room: &'r mut [u8; GATHERED]) -> Option<(Registers, &'r [u8])> {
    let [first, second] = args;
    let linked = match args {
        [Arg::Linked(linked), Arg::None | Arg::Value(_)]
        | [Arg::None | Arg::Value(_), Arg::Linked(linked)] => linked,
        _ => return None,
    };
    let Linked {
        header,
        offset,
        target: Target::Read(nested),
    } = linked
    else {
        return None;
    };
    let (before, rest) = room.split_at_mut_checked(padded(header.len()))?;
    let (length, rest) = rest.split_first_chunk_mut::<8>()?;
    before.get_mut(..header.len())?.copy_from_slice(header);
    // Whoever called this before may have left an address there.
    before.get_mut(*offset..)?.first_chunk_mut::<8>()?.fill(0);
    *length = (nested.len() as u64).to_le_bytes();
    rest.get_mut(..nested.len())?.copy_from_slice(nested);
    let end = padded(header.len())
        .wrapping_add(8)
        .wrapping_add(nested.len());
    let [first, second] = [needs(first), needs(second)];
    let registers = Registers {
        slots: [first.slot, second.slot],
        shapes: [first.shape, second.shape],
    };
    Some((registers, room.get(..end)?))
}

impl<C: Clock, W: AsMut<[Watched]>> LaneWriter<'_, C, W> {
    /// Records a call with one block, which may be written: on the short way where that is at hand.
    #[inline(never)]
    pub(super) fn written(
        &mut self,
        info: &'static CallInfo,
        mut args: [Arg<'_>; 2],
        entered: impl FnOnce() -> bool,
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let Some((id, block)) = self.calls.plain(info).zip(Written::of(&args)) else {
            // Asked here, so that there is one way less out of `around`.
            return self.linked(info, args, entered, transport);
        };
        let ([rdi, rsi], [first, second]) = (block.slots, block.shapes);
        let before = if block.read { block.bytes } else { &[] };
        let Some((short, ticks)) = self.producer.enter_short(
            [rdi, rsi, info.number],
            tags(id, first, second),
            before,
            padded(block.bytes.len()),
            || self.clock.now(),
        ) else {
            return self.any(info, args, entered, transport);
        };
        let ticks = if entered() { self.clock.now() } else { ticks };
        let outcome = transport.call(info, hypercall_core::arg::reborrow(&mut args));
        let duration = self.clock.now().saturating_sub(ticks);
        if let (
            Ok(rax),
            Some(Written {
                bytes, bit, read, ..
            }),
        ) = (&outcome, Written::of(&args))
        {
            self.producer
                .exit_written(short, duration, rax.cast_unsigned(), bytes, bit, read);
            self.note(Point::Exit);
        } else {
            let pending = Pending {
                at: short.at(),
                memory: short.memory(),
                crc: short.crc(),
                ticks,
                written: true,
                secret: false,
            };
            self.exit_any(pending, info, &args, &outcome, duration);
        }
        outcome
    }

    /// Records a call with one block that points at another one, which is read: on the short way where that is at hand.
    #[inline(never)]
    fn linked(
        &mut self,
        info: &'static CallInfo,
        args: [Arg<'_>; 2],
        entered: impl FnOnce() -> bool,
        transport: &(impl Transport + ?Sized),
    ) -> Result<i64, TransportError> {
        let mut room = [0; GATHERED];
        let Some((id, (registers, part))) = self.calls.plain(info).zip(gather(&args, &mut room))
        else {
            return self.any(info, args, entered, transport);
        };
        let Registers {
            slots: [rdi, rsi],
            shapes: [first, second],
        } = registers;
        let Some((short, ticks)) = self.producer.enter_short(
            [rdi, rsi, info.number],
            tags(id, first, second),
            part,
            0,
            || self.clock.now(),
        ) else {
            return self.any(info, args, entered, transport);
        };
        let ticks = if entered() { self.clock.now() } else { ticks };
        let outcome = transport.call(info, args);
        let duration = self.clock.now().saturating_sub(ticks);
        match &outcome {
            Ok(rax) => {
                self.producer
                    .exit_short(short, duration, rax.cast_unsigned());
                self.note(Point::Exit);
            }
            Err(_) => self.fail(short.at(), short.crc(), &outcome, duration),
        }
        outcome
    }
}

#[cfg(all(test, feature = "std", not(loom)))]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test"
)]
mod tests {
    use hypercall_core::acrn::HypervisorCalls;
    use hypercall_core::{Gpa, SharedRef};

    use super::*;
    use crate::clock::ClockFn;
    use crate::read::View;
    use crate::record::redact::Redaction;
    use crate::record::room::Wait;
    use crate::ring::{Full, borrowed};

    /// Changes the last byte of what it may write, where the call's number is even; has no answer to every third one.
    struct Device;
    impl Transport for Device {
        fn call<'a>(
            &self,
            _: &'static CallInfo,
            args: [Arg<'a>; 2],
        ) -> Result<i64, TransportError> {
            let mut number = 0;
            for argument in args {
                match argument {
                    Arg::Value(value) => number = value,
                    Arg::Write(bytes)
                    | Arg::ReadWrite(bytes)
                    | Arg::Linked(Linked {
                        target: Target::ReadWrite(bytes),
                        ..
                    }) if number % 2 == 0 => {
                        if let Some(last) = bytes.last_mut() {
                            *last = !*last;
                        }
                    }
                    _ => {}
                }
            }
            if number % 3 == 1 {
                return Err(TransportError::Lost("no answer"));
            }
            Ok(number as i64)
        }
    }

    /// What is in the records of the same calls.
    fn recorded(short: bool) -> Vec<String> {
        let mut memory = vec![0_u64; 1 << 20];
        let (producer, mut consumer) = borrowed(&mut memory, 2, Full::Drop).unwrap();
        let mut lane = LaneWriter::<_, [Watched; 0]>::new(
            producer,
            ClockFn(|| 7),
            &[HypervisorCalls::INTERFACE],
            Redaction::Zero,
            [],
            Wait::NEVER,
        );
        if !short {
            lane.producer.reserve(8).unwrap();
            lane.producer.only_long();
        }
        let mut call = |args: [Arg<'_>; 2]| {
            let _ = lane.around(HypervisorCalls::CREATE_VM, args, || false, &Device);
        };
        // What a call is, is found out when it is met first, on the long way.
        call([Arg::None, Arg::None]);
        for number in 0..6 {
            for length in [0, 1, 8, 24, 248, 249, 300, 504, 1024, 4159, 4160, 5000] {
                let mut bytes: Vec<u8> = (0..length).map(|n| (n * n % 251) as u8).collect();
                let value = || Arg::Value(number);
                call([value(), Arg::Read(&bytes)]);
                call([Arg::Read(&bytes), value()]);
                call([value(), Arg::ReadWrite(&mut bytes)]);
                call([Arg::ReadWrite(&mut bytes), Arg::None]);
                let mut more = bytes.clone();
                call([Arg::ReadWrite(&mut bytes), Arg::ReadWrite(&mut more)]);
                call([Arg::Read(&bytes), Arg::ReadWrite(&mut more)]);
                for offset in [0, 5, 13] {
                    let mut header = [0xa5; 21];
                    let mut linked = |target: Target<'_>| {
                        call([
                            Arg::Value(number),
                            Arg::Linked(Linked {
                                header: &mut header,
                                offset,
                                target,
                            }),
                        ]);
                    };
                    linked(Target::Read(&more));
                    linked(Target::ReadWrite(&mut more));
                    linked(Target::Shared(SharedRef::Address(Gpa(0x1234))));
                }
                bytes.fill(0);
                call([value(), Arg::Write(&mut bytes)]);
                bytes.fill(0);
                call([Arg::Write(&mut bytes), value()]);
            }
        }
        let mut views = Vec::new();
        while let crate::ring::Taken::Some = consumer.take(true, |batch| {
            let mut rest = batch.bytes;
            while let Some((record, more)) = crate::read::split(rest) {
                assert!(crate::format::record::checks(record));
                views.push(format!("{:?}", View::parse(record).unwrap()));
                rest = more;
            }
            true
        }) {}
        views
    }

    #[test]
    fn both_ways_record_the_same() {
        let [short, long] = [true, false].map(recorded);
        assert_eq!(short.len(), 1 + 6 * 12 * 17);
        for (number, (short, long)) in short.iter().zip(&long).enumerate() {
            assert!(short == long, "{number}:\n{short}\n{long}");
        }
        assert_eq!(short.len(), long.len());
    }
}
