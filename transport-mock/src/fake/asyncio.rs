//! The list of addresses whose accesses go to a ring buffer instead of an I/O request.
//!
//! ACRN keeps 64 descriptors and a doubly linked list through them. SETUP_SBUF of id 64 starts a new list and leaves
//! the descriptors as they are, so a descriptor of the old list stays taken, matches nothing, and when it is removed it
//! unlinks whatever the new list had at its place. The links are therefore modelled as they are. Rules: ACRN
//! `add_asyncio`, `remove_asyncio`, `asyncio_is_conflict`, `get_asyncio_desc`, `init_asyncio` (dm/io_req.c).

use super::answer::{Answer, crash, hang};

const DESCRIPTORS: usize = 64;
/// The list's head, as a node beside the descriptors.
const HEAD: usize = DESCRIPTORS;

/// One asynchronous I/O: `acrn_asyncio_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct AsyncIo {
    pub(crate) kind: u32,
    pub(crate) match_data: u32,
    pub(crate) address: u64,
    pub(crate) fd: u64,
    pub(crate) data: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    next: usize,
    previous: usize,
}

/// A slot's list. It survives the VM.
#[derive(Debug)]
pub(crate) struct AsyncIoList {
    /// Null links until the first ring is set up.
    started: bool,
    nodes: [Node; DESCRIPTORS + 1],
    entries: [AsyncIo; DESCRIPTORS],
}

impl AsyncIoList {
    pub(crate) fn new() -> Self {
        let mut list = Self {
            started: false,
            nodes: [Node {
                next: 0,
                previous: 0,
            }; DESCRIPTORS + 1],
            entries: [AsyncIo::default(); DESCRIPTORS],
        };
        for at in 0..=DESCRIPTORS {
            list.close(at);
        }
        list
    }

    /// A ring was set up: the list starts anew, the descriptors stay.
    pub(crate) fn start(&mut self) {
        self.started = true;
        self.close(HEAD);
    }

    /// Registers an address. Whether it did is not told.
    pub(crate) fn add(&mut self, new: AsyncIo) -> Answer {
        if new.address == 0 {
            return Ok(());
        }
        if !self.started {
            return Err(crash(
                "ASYNCIO_ASSIGN before the first SETUP_SBUF of id 64 of this VM slot follows a null list (ACRN asyncio_is_conflict)",
            ));
        }
        let conflict = self.find(|old| {
            old.address == new.address
                && old.kind == new.kind
                && (old.match_data == 0 || new.match_data == 0 || old.data == new.data)
        })?;
        if conflict.is_some() {
            return Ok(());
        }
        let unused = self
            .entries
            .iter()
            .position(|entry| entry.address == 0 && entry.fd == 0);
        if let Some(at) = unused {
            if let Some(entry) = self.entries.get_mut(at) {
                *entry = new;
            }
            self.link_first(at);
        }
        Ok(())
    }

    /// Removes an address. Whether it was there is not told.
    pub(crate) fn remove(&mut self, old: AsyncIo) {
        if old.address == 0 {
            return;
        }
        let found = self.entries.iter().position(|entry| {
            entry.kind == old.kind
                && entry.address == old.address
                && entry.fd == old.fd
                && (entry.match_data == 0) == (old.match_data == 0)
                && entry.data == old.data
        });
        if let Some(at) = found {
            self.unlink(at);
            if let Some(entry) = self.entries.get_mut(at) {
                *entry = AsyncIo::default();
            }
        }
    }

    /// The file descriptor of the entry that takes an access.
    pub(crate) fn matching(&self, kind: u32, address: u64, value: u64) -> Answer<Option<u64>> {
        if address == 0 {
            return Ok(None);
        }
        let found = self.find(|entry| {
            entry.address == address
                && entry.kind == kind
                && (entry.match_data == 0 || entry.data == value)
        })?;
        Ok(found.map(|entry| entry.fd))
    }

    /// Every entry in the list's order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AsyncIo> {
        let mut at = self.next(HEAD);
        (0..DESCRIPTORS).map_while(move |_| {
            let entry = self.entries.get(at)?;
            at = self.next(at);
            Some(entry)
        })
    }

    fn find(&self, matches: impl Fn(&AsyncIo) -> bool) -> Answer<Option<AsyncIo>> {
        let mut at = self.next(HEAD);
        for _ in 0..=DESCRIPTORS {
            if at == HEAD {
                return Ok(None);
            }
            match self.entries.get(at) {
                Some(entry) if matches(entry) => return Ok(Some(*entry)),
                _ => at = self.next(at),
            }
        }
        Err(hang(
            "the list of asynchronous I/Os has become a loop (ACRN remove_asyncio after a second SETUP_SBUF)",
        ))
    }

    fn next(&self, at: usize) -> usize {
        self.nodes.get(at).map_or(HEAD, |node| node.next)
    }

    fn close(&mut self, at: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            *node = Node {
                next: at,
                previous: at,
            };
        }
    }

    fn link_first(&mut self, at: usize) {
        let next = self.next(HEAD);
        if let Some(node) = self.nodes.get_mut(at) {
            *node = Node {
                next,
                previous: HEAD,
            };
        }
        if let Some(node) = self.nodes.get_mut(next) {
            node.previous = at;
        }
        if let Some(node) = self.nodes.get_mut(HEAD) {
            node.next = at;
        }
    }

    fn unlink(&mut self, at: usize) {
        if let Some(Node { next, previous }) = self.nodes.get(at).copied() {
            if let Some(node) = self.nodes.get_mut(next) {
                node.previous = previous;
            }
            if let Some(node) = self.nodes.get_mut(previous) {
                node.next = next;
            }
        }
        self.close(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::answer::Fail;

    fn port(address: u64, fd: u64) -> AsyncIo {
        AsyncIo {
            kind: 1,
            address,
            fd,
            ..AsyncIo::default()
        }
    }

    #[test]
    fn before_the_ring_only_a_real_address_crashes() {
        let mut list = AsyncIoList::new();
        assert_eq!(list.add(port(0, 1)), Ok(()));
        list.remove(port(0x600, 1));
        assert!(matches!(list.add(port(0x600, 1)), Err(Fail::Dead(_))));
    }

    #[test]
    fn duplicates_and_overflow_are_silent() {
        let mut list = AsyncIoList::new();
        list.start();
        for address in 1..=70 {
            assert_eq!(list.add(port(address, 7)), Ok(()));
            assert_eq!(list.add(port(address, 8)), Ok(()));
        }
        assert_eq!(list.iter().count(), 64);
        assert_eq!(list.matching(1, 64, 0), Ok(Some(7)));
        assert_eq!(list.matching(1, 65, 0), Ok(None));
        list.remove(port(64, 8));
        assert_eq!(
            list.matching(1, 64, 0),
            Ok(Some(7)),
            "the descriptor is compared too"
        );
        list.remove(port(64, 7));
        assert_eq!(list.matching(1, 64, 0), Ok(None));
    }

    #[test]
    fn a_second_ring_forgets_the_list_but_not_the_descriptors() {
        let mut list = AsyncIoList::new();
        list.start();
        assert_eq!(list.add(port(1, 1)), Ok(()));
        list.start();
        assert_eq!(list.matching(1, 1, 0), Ok(None));
        assert_eq!(list.add(port(2, 2)), Ok(()));
        list.remove(port(1, 1));
        assert_eq!(
            list.matching(1, 2, 0),
            Ok(None),
            "removing the stale one unlinks the new one"
        );
    }
}
