//! Room in the ring for a record, and waiting for it.

use crate::loss::LossCause;
use crate::ring::{Full, Producer};

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

/// Finds room in the ring, and waits for it where the policy says so. Whether it waited.
#[inline(always)]
pub(super) fn reserve(
    producer: &mut Producer<'_>,
    need: usize,
    wait: Wait,
) -> Result<bool, LossCause> {
    match producer.reserve(need) {
        Err(LossCause::RingFull) if producer.full() == Full::Block => {
            wait_for_room(producer, need, wait).map(|()| true)
        }
        other => other.map(|()| false),
    }
}

#[cold]
pub(super) fn wait_for_room(
    producer: &mut Producer<'_>,
    need: usize,
    wait: Wait,
) -> Result<(), LossCause> {
    loop {
        match producer.reserve(need) {
            Err(LossCause::RingFull) if !producer.is_closed() && (wait.moment)(wait.process) => {}
            other => return other,
        }
    }
}

#[cfg(all(test, feature = "std", not(loom)))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::{Full, LossCause, Wait, reserve};
    use crate::format::record::kind;

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
