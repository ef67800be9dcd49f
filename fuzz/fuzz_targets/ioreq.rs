//! The I/O request page: both sides of it, and a third party that stores any word at any time between their steps.
//!
//! A plain model says what every step does to each of the page's words.
#![no_main]

use std::sync::atomic::Ordering;

use arbitrary::Arbitrary;
use hypercall_core::SharedPage;
use hypercall_core::acrn::VcpuId;
use hypercall_core::acrn::ioreq::{
    Answered, Claimed, Free, IoReqKind, IoReqPage, IoReqState, Request, Slot,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    Hostile {
        slot: u8,
        word: Word,
        value: Value,
    },
    ClaimAny,
    Claim(u8),
    Adopt(u8),
    TakeFree(u8),
    TakeAnswered(u8),
    SetKernelHandled(u8, bool),
    CompleteRead(u8, u64),
    Complete(u8),
    Raise {
        of: u8,
        kind: u8,
        data: [u64; 4],
        polling: bool,
    },
    Release(u8),
    Clear,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Word {
    State,
    Kind,
    Any(u8),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Value {
    Small(u8),
    Any(u32),
}

/// Places of a slot's fields among its 64 words (`struct acrn_io_request`).
const KIND: usize = 0;
const POLLING: usize = 1;
const REQUEST: usize = 16;
const VALUE: usize = 22;
const KERNEL: usize = 33;
const STATE: usize = 34;
const PENDING: u32 = 0;
const COMPLETE: u32 = 1;
const PROCESSING: u32 = 2;
const FREE: u32 = 3;

/// The page, as it should be.
struct Model([[u32; 64]; 16]);

impl Model {
    fn step(&mut self, slot: usize, from: u32, to: u32) -> bool {
        let fits = self.0[slot][STATE] == from;
        if fits {
            self.0[slot][STATE] = to;
        }
        fits
    }
}

/// Handles that were taken and not used up. They outlive whatever happens to the page.
#[derive(Default)]
struct Held<'a> {
    claimed: Vec<Claimed<'a>>,
    free: Vec<Free<'a>>,
    answered: Vec<Answered<'a>>,
}

fuzz_target!(|steps: Vec<Step>| {
    let memory = SharedPage::new();
    let page = IoReqPage::new(&memory);
    let mut model = Model([[0; 64]; 16]);
    let mut held = Held::default();
    page.clear();
    clear(&mut model);
    for step in steps.iter().take(64) {
        run(step, &memory, &mut model, &mut held);
        let words = memory
            .words()
            .iter()
            .map(|word| word.load(Ordering::Relaxed));
        assert!(
            words.eq(model.0.iter().flatten().copied()),
            "after {step:?}"
        );
    }
});

fn clear(model: &mut Model) {
    for slot in &mut model.0 {
        slot[STATE] = FREE;
    }
}

/// There is a slot for 0 to 15, and none above.
fn slot(page: IoReqPage<'_>, choice: u8) -> Option<(usize, Slot<'_>)> {
    let vcpu = u16::from(choice % 18);
    let slot = page.slot(VcpuId(vcpu));
    assert_eq!(slot.is_some(), vcpu < 16);
    slot.map(|slot| (usize::from(vcpu), slot))
}

fn take<T>(held: &mut Vec<T>, choice: u8) -> Option<T> {
    let at = usize::from(choice).checked_rem(held.len())?;
    Some(held.swap_remove(at))
}

fn run<'a>(step: &Step, memory: &'a SharedPage, model: &mut Model, held: &mut Held<'a>) {
    let page = IoReqPage::new(memory);
    match *step {
        Step::Hostile { slot, word, value } => {
            let slot = usize::from(slot % 16);
            let word = match word {
                Word::State => STATE,
                Word::Kind => KIND,
                Word::Any(word) => usize::from(word % 64),
            };
            let value = match value {
                Value::Small(value) => u32::from(value % 6),
                Value::Any(value) => value,
            };
            memory.words()[slot * 64 + word].store(value, Ordering::Relaxed);
            model.0[slot][word] = value;
        }
        Step::ClaimAny => {
            let first = model.0.iter().position(|slot| slot[STATE] == PENDING);
            let claimed = page.claim();
            assert_eq!(
                claimed
                    .as_ref()
                    .map(|claimed| usize::from(claimed.vcpu().0)),
                first
            );
            if let (Some(first), Some(claimed)) = (first, claimed) {
                model.step(first, PENDING, PROCESSING);
                held.claimed.push(claimed);
            }
        }
        Step::Claim(choice) => {
            if let Some((at, slot)) = slot(page, choice) {
                let claimed = slot.claim();
                assert_eq!(claimed.is_some(), model.step(at, PENDING, PROCESSING));
                held.claimed.extend(claimed);
            }
        }
        Step::Adopt(choice) => {
            if let Some((at, slot)) = slot(page, choice) {
                let adopted = slot.adopt();
                let fits = model.0[at][STATE] == PROCESSING && model.0[at][KERNEL] == 0;
                assert_eq!(adopted.is_some(), fits);
                held.claimed.extend(adopted);
            }
        }
        Step::TakeFree(choice) => {
            if let Some((at, slot)) = slot(page, choice) {
                let free = slot.free();
                assert_eq!(free.is_some(), model.0[at][STATE] == FREE);
                held.free.extend(free);
            }
        }
        Step::TakeAnswered(choice) => {
            if let Some((at, slot)) = slot(page, choice) {
                let answered = slot.answered();
                assert_eq!(answered.is_some(), model.0[at][STATE] == COMPLETE);
                held.answered.extend(answered);
            }
        }
        Step::SetKernelHandled(choice, handled) => {
            if let Some(mut claimed) = take(&mut held.claimed, choice) {
                claimed.set_kernel_handled(handled);
                model.0[usize::from(claimed.vcpu().0)][KERNEL] = handled.into();
                held.claimed.push(claimed);
            }
        }
        Step::CompleteRead(choice, value) => {
            if let Some(claimed) = take(&mut held.claimed, choice) {
                let at = usize::from(claimed.vcpu().0);
                check_request(&claimed.request(), &model.0[at]);
                let done = claimed
                    .complete_read(value)
                    .map(|done| done.needs_notification());
                let fits = model.step(at, PROCESSING, COMPLETE);
                let slot = &mut model.0[at];
                assert_eq!(done.ok(), fits.then_some(slot[POLLING] == 0));
                if fits {
                    slot[VALUE] = value as u32;
                    if matches!(slot[KIND], 1 | 3) {
                        slot[VALUE + 1] = (value >> 32) as u32;
                    }
                }
            }
        }
        Step::Complete(choice) => {
            if let Some(claimed) = take(&mut held.claimed, choice) {
                let at = usize::from(claimed.vcpu().0);
                let done = claimed.complete();
                let found = model.0[at][STATE];
                match done {
                    Ok(_) => assert!(model.step(at, PROCESSING, COMPLETE)),
                    Err(moved) => {
                        assert_eq!(
                            (moved.found, found == PROCESSING),
                            (IoReqState(found), false)
                        );
                    }
                }
            }
        }
        Step::Raise {
            of,
            kind,
            data: [a, b, c, d],
            polling,
        } => {
            if let Some(free) = take(&mut held.free, of) {
                let at = usize::from(free.vcpu().0);
                let request =
                    Request::decode(IoReqKind(u32::from(kind % 6)), [a, b, c, d, 0, 0, 0, 0]);
                let raised = free.raise(&request, polling);
                let slot = &mut model.0[at];
                slot[KIND] = request.kind().0;
                slot[POLLING] = if polling { 1 } else { slot[POLLING] };
                for (words, half) in slot[REQUEST..].chunks_mut(2).zip(request.encode()) {
                    words[0] = half as u32;
                    words[1] = (half >> 32) as u32;
                }
                assert_eq!(raised.is_ok(), model.step(at, FREE, PENDING));
            }
        }
        Step::Release(choice) => {
            if let Some(answered) = take(&mut held.answered, choice) {
                let at = usize::from(answered.vcpu().0);
                check_request(&answered.request(), &model.0[at]);
                let released = answered.release();
                assert_eq!(released.is_ok(), model.step(at, COMPLETE, FREE));
            }
        }
        Step::Clear => {
            page.clear();
            clear(model);
        }
    }
}

/// A request is what the slot says, and reads back from what it is written as.
fn check_request(request: &Request, slot: &[u32; 64]) {
    assert_eq!(request.kind(), IoReqKind(slot[KIND]));
    assert_eq!(Request::decode(request.kind(), request.encode()), *request);
    let _ = (request.direction(), request.value(), format!("{request:?}"));
}
