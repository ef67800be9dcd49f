//! What a change of a page of I/O requests means: which slot went where, and what the guest asked for.
//!
//! Pages become known when they are given to ACRN with `set_ioreq_buffer`. Changes of others, and of pages that were given
//! before the part of the trace that is looked at, are shown by their offsets. In a file that was joined from several recordings,
//! each has pages of its own. Behind changes that are missing, too, what changes is shown by its offsets, until all is known again that
//! makes it a request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::ops::Range;

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::ioreq::{IoDirection, IoReqKind, IoReqState, IoRequest, Request};
use hypercall_trace::entry::{Call, Entry, Link, PageChange, Target};
use zerocopy::FromBytes as _;

/// Bytes of a page and of a slot in it.
const PAGE: usize = 4096;
const SLOT: usize = 256;
/// Where in a slot its state is, and what is asked for: the kind, and the request without what is reserved in it.
const STATE: Range<usize> = 136..140;
const REQUEST: [Range<usize>; 3] = [0..4, 64..68, 72..128];
/// Watched pages that are followed; a trace with more is a hostile one.
const MAX_PAGES: usize = 256;
/// The call that gives a page to the hypervisor.
const GIVES: &str = "set_ioreq_buffer";

/// What watched pages hold, by lane and number.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestPages {
    pages: BTreeMap<(u32, u32), Followed>,
    /// Those of each lane of which something may be known: only they are forgotten where changes are missing, so that many such places
    /// cost no more than the changes between them.
    told: BTreeMap<u32, Vec<u32>>,
    /// Lanes of which changes are missing, and whether such of any lane are.
    lacking: BTreeSet<u32>,
    all_lack: bool,
}

#[derive(Clone, Debug)]
struct Followed {
    bytes: Vec<u8>,
    /// Which of them are known: not those that may have changed in what is missing, until they change again.
    known: Vec<bool>,
    /// Whether any of them may be.
    told: bool,
    has_requests: bool,
}

impl Followed {
    /// Takes a change. What it says of before is so whatever was known; where something else was, changes are missing.
    fn take(&mut self, change: &PageChange) {
        let differs = change.runs.iter().any(|run| {
            let at = usize::try_from(run.offset).unwrap_or(usize::MAX);
            let there = self.bytes.iter().zip(&self.known).skip(at);
            let mut pairs = run.before.iter().zip(there);
            pairs.any(|(before, (byte, known))| *known && before != byte)
        });
        if differs {
            self.known.fill(false);
        }
        let runs = || change.runs.iter().map(|run| (run.offset, &run.after));
        put(&mut self.bytes, 0, runs());
        for (offset, run) in runs() {
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let end = at.saturating_add(run.len()).min(PAGE);
            if let Some(known) = self.known.get_mut(at..end) {
                known.fill(true);
            }
        }
    }

    /// Whether it is known what a slot says: of one without a request its state is enough.
    fn is_known(&self, slot: usize, is: &IoRequest) -> bool {
        let start = slot.saturating_mul(SLOT);
        let known = |part: &Range<usize>| {
            let part = start.saturating_add(part.start)..start.saturating_add(part.end);
            self.known
                .get(part)
                .is_some_and(|known| known.iter().all(|known| *known))
        };
        known(&STATE) && (is.state == IoReqState::FREE || REQUEST.iter().all(known))
    }
}

impl RequestPages {
    /// Notes what an entry says about pages.
    pub(super) fn note(&mut self, entry: &Entry) {
        match entry {
            Entry::Pages(change) => {
                if let Some(page) = self.page(change.lane, change.page) {
                    page.take(change);
                }
            }
            Entry::Call(call) => {
                if let Some(number) = given(call)
                    && let Some(page) = self.page(call.lane, number)
                {
                    page.has_requests = true;
                }
            }
            Entry::Lost(lost) if lost.may_lack_pages() => self.lose(Some(lost.lane)),
            Entry::Damaged(damaged) if !damaged.took_nothing() => self.lose(damaged.lane),
            // A newer version may have other records of changes than those that this one knows.
            Entry::Unknown(unknown) if !unknown.is_call() => self.lose(Some(unknown.lane)),
            _ => {}
        }
    }

    /// Changes of a lane are missing here, or without one of any: nobody knows what its pages hold.
    pub(super) fn lose(&mut self, lane: Option<u32>) {
        let told = match lane {
            Some(lane) => {
                self.lacking.insert(lane);
                self.told.remove_entry(&lane).into_iter().collect()
            }
            None => {
                self.all_lack = true;
                std::mem::take(&mut self.told)
            }
        };
        for (lane, numbers) in told {
            for number in numbers {
                if let Some(page) = self.pages.get_mut(&(lane, number)) {
                    page.told = false;
                    page.known.fill(false);
                }
            }
        }
    }

    fn page(&mut self, lane: u32, number: u32) -> Option<&mut Followed> {
        let full = self.pages.len() >= MAX_PAGES;
        if full && !self.pages.contains_key(&(lane, number)) {
            return None;
        }
        // A page's first change starts from zeros; behind missing ones nobody knows whether it is the first.
        let first = !self.all_lack && !self.lacking.contains(&lane);
        let page = self
            .pages
            .entry((lane, number))
            .or_insert_with(|| Followed {
                bytes: vec![0; PAGE],
                known: vec![first; PAGE],
                told: false,
                has_requests: false,
            });
        if !std::mem::replace(&mut page.told, true) {
            self.told.entry(lane).or_default().push(number);
        }
        Some(page)
    }

    /// What a change that was noted means. `None` where the page is not known to hold requests, or where the change says
    /// nothing of them.
    pub(super) fn text(&self, change: &PageChange) -> Option<String> {
        let page = self
            .pages
            .get(&(change.lane, change.page))
            .filter(|page| page.has_requests)?;
        // Slots next to each other of which the same is to say: first, last, text.
        let mut told: Vec<(usize, usize, String)> = Vec::new();
        for (slot, after) in page.bytes.chunks_exact(SLOT).enumerate() {
            let start = slot.saturating_mul(SLOT);
            let mut before = after.to_vec();
            put(
                &mut before,
                start,
                change.runs.iter().map(|run| (run.offset, &run.before)),
            );
            if before == after {
                continue;
            }
            let (was, is) = (slot_of(&before)?, slot_of(after)?);
            // No slot of requests, one whose bytes were replaced by a hash, or one of which too little is known.
            if !is_request(&is) || !is_request(&was) || !page.is_known(slot, &is) {
                return None;
            }
            let text = describe(&is);
            if text == describe(&was) {
                return None;
            }
            match told.last_mut() {
                Some((_, last, same)) if *same == text && last.saturating_add(1) == slot => {
                    *last = slot
                }
                _ => told.push((slot, slot, text)),
            }
        }
        let mut out = String::new();
        for (first, last, text) in &told {
            if !out.is_empty() {
                out.push_str("; ");
            }
            let _ = if first == last {
                write!(out, "vCPU {first} {text}")
            } else {
                write!(out, "vCPUs {first} to {last} {text}")
            };
        }
        (!told.is_empty()).then_some(out)
    }
}

/// Writes the parts of runs that lie in the bytes that start at `start` of the page.
fn put<'r>(bytes: &mut [u8], start: usize, runs: impl Iterator<Item = (u32, &'r Vec<u8>)>) {
    for (offset, run) in runs {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for (place, byte) in run.iter().enumerate() {
            let at = offset
                .checked_add(place)
                .and_then(|at| at.checked_sub(start));
            if let Some(to) = at.and_then(|at| bytes.get_mut(at)) {
                *to = *byte;
            }
        }
    }
}

/// The page that a call gave to ACRN for its requests.
fn given(call: &Call) -> Option<u32> {
    let schema = call.schema.as_deref()?;
    if schema.name != GIVES || *schema.interface != *HypervisorCalls::INTERFACE.name {
        return None;
    }
    call.args
        .iter()
        .find_map(|argument| match argument.block()?.link {
            Some(Link {
                target: Target::Pages { page, .. },
                ..
            }) => page,
            _ => None,
        })
}

fn slot_of(bytes: &[u8]) -> Option<IoRequest> {
    IoRequest::read_from_bytes(bytes).ok()
}

/// Whether a slot can be one: its state is one of ACRN's, and it asks for what a processor can. What is reserved in it is
/// not looked at, and kinds up to 255 may come.
fn is_request(slot: &IoRequest) -> bool {
    let states = [
        IoReqState::FREE,
        IoReqState::PENDING,
        IoReqState::PROCESSING,
        IoReqState::COMPLETE,
    ];
    states.contains(&slot.state) && slot.request().size() <= 8 && slot.kind.0 <= 0xff
}

/// `PENDING: PIO read of 0x64, 1 byte`.
fn describe(slot: &IoRequest) -> String {
    let mut out = match slot.state {
        IoReqState::FREE => return "FREE".to_owned(),
        IoReqState::PENDING => "PENDING: ".to_owned(),
        IoReqState::PROCESSING => "PROCESSING: ".to_owned(),
        IoReqState::COMPLETE => "COMPLETE: ".to_owned(),
        IoReqState(other) => format!("in state {other}: "),
    };
    let request = slot.request();
    let way = match request.direction() {
        IoDirection::READ => "read of",
        IoDirection::WRITE => "write of",
        _ => "access to",
    };
    let size = request.size();
    let plural = if size == 1 { "" } else { "s" };
    let _ = match request {
        Request::Pio(pio) => write!(
            out,
            "PIO {way} port {:#x}, {size} byte{plural}",
            pio.address
        ),
        Request::Mmio(mmio) => write!(out, "MMIO {way} {:#x}, {size} byte{plural}", mmio.address.0),
        Request::WriteProtected(mmio) => write!(
            out,
            "{way} write-protected {:#x}, {size} byte{plural}",
            mmio.address.0
        ),
        Request::Pci(pci) => write!(
            out,
            "PCI {way} {:02x}:{:02x}.{:x} register {:#x}, {size} byte{plural}",
            pci.bus, pci.device, pci.function, pci.register
        ),
        Request::Unknown(IoReqKind(kind), _) => write!(out, "a request of unknown kind {kind}"),
        _ => write!(out, "a request"),
    };
    // The value of a read is there when it is done; before, it is what the last request left.
    let has_value = request.direction() == IoDirection::WRITE || slot.state == IoReqState::COMPLETE;
    if has_value && size != 0 {
        let bits = size.saturating_mul(8).min(64);
        let mask = u64::MAX
            .checked_shr(64_u32.saturating_sub(u32::try_from(bits).unwrap_or(64)))
            .unwrap_or(0);
        let _ = write!(out, ", value {:#x}", request.value() & mask);
    }
    out
}
