//! Memory that a hypervisor keeps after a call returned: request pages, ring buffers.
//!
//! Such memory can be neither borrowed (safe code may forget a guard, and the hypervisor would write into a freed
//! page) nor plain (another processor writes it at any time). So it is a `&'static` page of atomics, and the one who
//! may hand it out is a value, [`OwnedPage`], that cannot be copied.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::ids::Gpa;

/// Words in a page.
const WORDS: usize = 1024;

/// A page of 4096 bytes that others may write at any time.
///
/// All access is by aligned 32-bit words, which x86 reads and writes at once (Intel SDM volume 3, 10.1.1).
#[repr(C, align(4096))]
pub struct SharedPage {
    words: [AtomicU32; WORDS],
}

const _: () = assert!(size_of::<SharedPage>() == 4096 && align_of::<SharedPage>() == 4096);

impl SharedPage {
    /// A page of zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: [const { AtomicU32::new(0) }; WORDS],
        }
    }

    /// The word at a byte offset, which must be a multiple of 4 below 4096.
    #[must_use]
    #[inline]
    pub fn word(&self, offset: usize) -> Option<&AtomicU32> {
        if offset.is_multiple_of(4) {
            self.words.get(offset / 4)
        } else {
            None
        }
    }

    /// All words, in order.
    #[must_use]
    pub const fn words(&self) -> &[AtomicU32; WORDS] {
        &self.words
    }

    /// Copies bytes out, word by word. What another processor writes meanwhile may be seen in part.
    ///
    /// # Errors
    /// [`OutsidePage`] when the range does not lie in the page; nothing is copied.
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), OutsidePage> {
        check(offset, bytes.len())?;
        for (position, byte) in (offset..).zip(bytes) {
            if let Some(word) = self.words.get(position / 4)
                && let Some(value) = word.load(Ordering::Relaxed).to_le_bytes().get(position % 4)
            {
                *byte = *value;
            }
        }
        Ok(())
    }

    /// Copies bytes in. A word that is written in part keeps its other bytes, also against a concurrent writer.
    ///
    /// # Errors
    /// [`OutsidePage`] when the range does not lie in the page; nothing is copied.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), OutsidePage> {
        check(offset, bytes.len())?;
        let mut position = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let start = position % 4;
            let count = rest.len().min(4_usize.saturating_sub(start));
            let Some((now, later)) = rest.split_at_checked(count) else {
                return Err(OutsidePage);
            };
            let Some(word) = self.words.get(position / 4) else {
                return Err(OutsidePage);
            };
            if let Ok(whole) = <[u8; 4]>::try_from(now) {
                word.store(u32::from_le_bytes(whole), Ordering::Relaxed);
            } else {
                // Only this closure's bytes change: a plain load and store could undo a neighbour's write.
                let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                    let mut part = old.to_le_bytes();
                    for (byte, new) in part.iter_mut().skip(start).zip(now) {
                        *byte = *new;
                    }
                    Some(u32::from_le_bytes(part))
                });
            }
            position = position.saturating_add(count);
            rest = later;
        }
        Ok(())
    }
}

/// A range of bytes that does not lie in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsidePage;

fn check(offset: usize, length: usize) -> Result<(), OutsidePage> {
    match offset.checked_add(length) {
        Some(end) if end <= 4096 => Ok(()),
        _ => Err(OutsidePage),
    }
}

impl Default for SharedPage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SharedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedPage@{:p}", self.words.as_ptr())
    }
}

/// Memory that a call hands over for keeps: live pages of this program, or a guest physical address that the
/// caller has from elsewhere. A server behind a dispatcher always sees an address.
#[derive(Clone, Copy)]
pub enum SharedRef {
    /// Pages that follow each other in memory. A transport finds their address and checks that they are physically
    /// contiguous.
    Pages(&'static [SharedPage]),
    /// An address that goes out as it is. Also the way to take memory back from a hypervisor that forgets its buffer
    /// when it is given an address that it cannot use.
    Address(Gpa),
}

impl From<&'static SharedPage> for SharedRef {
    fn from(page: &'static SharedPage) -> Self {
        Self::Pages(core::slice::from_ref(page))
    }
}

impl From<Gpa> for SharedRef {
    fn from(address: Gpa) -> Self {
        Self::Address(address)
    }
}

/// What a header points at, where it is not an array. For the interface attribute.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a header cannot point at a `{Self}`",
    label = "its address goes into a header, so it must be an array or memory that the hypervisor keeps",
    note = "use `&[T]` for an array that is read during the call, `SharedRef` for memory that the hypervisor keeps"
)]
pub trait Kept {
    fn keep(self) -> SharedRef;
    fn kept(address: Gpa) -> Self;
}

impl Kept for SharedRef {
    #[inline]
    fn keep(self) -> SharedRef {
        self
    }
    #[inline]
    fn kept(address: Gpa) -> Self {
        Self::Address(address)
    }
}

impl PartialEq for SharedRef {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pages(ours), Self::Pages(theirs)) => core::ptr::eq(*ours, *theirs),
            (Self::Address(ours), Self::Address(theirs)) => ours == theirs,
            _ => false,
        }
    }
}
impl Eq for SharedRef {}

impl fmt::Debug for SharedRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages([_]) => f.write_str("<page>"),
            Self::Pages(pages) => write!(f, "<{} pages>", pages.len()),
            Self::Address(gpa) => gpa.fmt(f),
        }
    }
}

/// A page with a mark that says whether somebody owns it. Lives in a `static`.
#[derive(Debug, Default)]
pub struct PageCell {
    page: SharedPage,
    taken: AtomicBool,
}

impl PageCell {
    /// A page of zeros that nobody owns.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            page: SharedPage::new(),
            taken: AtomicBool::new(false),
        }
    }

    /// The one owner, or `None` while there is another, or where one was dropped while a hypervisor held the page.
    #[must_use]
    pub fn take(&'static self) -> Option<OwnedPage> {
        if self.taken.swap(true, Ordering::Acquire) {
            None
        } else {
            Some(OwnedPage {
                cell: self,
                lent: false,
            })
        }
    }
}

/// The right to hand a page to a hypervisor: there is one for each [`PageCell`], and it cannot be copied.
///
/// It remembers whether a hypervisor holds the page. Dropped while one does, the page is never handed out again: it is
/// leaked rather than given too early to somebody else.
#[derive(Debug)]
pub struct OwnedPage {
    cell: &'static PageCell,
    lent: bool,
}

impl OwnedPage {
    /// The page.
    #[must_use]
    pub fn page(&self) -> &'static SharedPage {
        &self.cell.page
    }

    /// The page as an argument. From now on a hypervisor counts as its holder.
    #[must_use]
    pub fn lend(&mut self) -> SharedRef {
        self.lent = true;
        self.page().into()
    }

    /// Says that the hypervisor let go: it answered the call that ends its use, or refused the one that lent the page.
    pub fn reclaim(&mut self) {
        self.lent = false;
    }

    /// Whether a hypervisor counts as its holder.
    #[must_use]
    pub fn is_lent(&self) -> bool {
        self.lent
    }
}

impl Drop for OwnedPage {
    fn drop(&mut self) {
        if !self.lent {
            self.cell.taken.store(false, Ordering::Release);
        }
    }
}
