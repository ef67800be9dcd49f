//! Buffers that the hypervisor writes: SETUP_SBUF, and what ends up in them.
//!
//! Rules: ACRN `hcall_setup_sbuf` (common/hypercall.c), `sbuf_setup_common`, `sbuf_put` (common/sbuf.c),
//! `sbuf_share_setup` (debug/sbuf.c, release/sbuf.c), `init_asyncio` (dm/io_req.c), `init_vm_event`, `send_vm_event`
//! (common/vm_event.c).

use hypercall_core::acrn::{AsyncIoInfo, SharedBufferHeader};

use super::{
    answer::{Answer, EINVAL, ENOTTY, REFUSED},
    asyncio::AsyncIo,
    config::Build,
    machine::Machine,
};

const HEADER: u64 = 64;
const OVERWRITE: u32 = 1 << 1;
const COUNT_OVERRUNS: u32 = 1;

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    Stored,
    Full,
    /// The ring's elements are larger than what is put.
    Corrupt,
}

impl Machine {
    pub(crate) fn setup_sbuf(&mut self, number: u16, pcpu: u16, id: u32, gpa: u64) -> Answer {
        if gpa == 0 {
            return Err(REFUSED);
        }
        // As a pointer: address 0 is none.
        let buffer = self.service_hpa(gpa).filter(|hpa| *hpa != 0);
        match id {
            0..=3 => self.setup_cpu_sbuf(pcpu, id, buffer),
            64 | 65 => {
                let ring = buffer.ok_or(REFUSED)?;
                if self.memory.read_u64(ring) != SharedBufferHeader::MAGIC {
                    return Err(REFUSED);
                }
                let slot = self.slot_mut(number).ok_or(ENOTTY)?;
                if id == 64 {
                    slot.asyncio_ring = Some(ring);
                    slot.asyncio.start();
                } else {
                    slot.event_ring = Some(ring);
                }
                Ok(())
            }
            _ => Err(REFUSED),
        }
    }

    fn setup_cpu_sbuf(&mut self, pcpu: u16, id: u32, buffer: Option<u64>) -> Answer {
        if self.config.build == Build::Release {
            return Err(REFUSED);
        }
        let place = usize::try_from(id)
            .ok()
            .and_then(|id| self.cpu_buffers.get_mut(usize::from(pcpu))?.get_mut(id));
        *place.ok_or(EINVAL)? = buffer;
        Ok(())
    }

    pub(crate) fn assign_asyncio(&mut self, number: u16, info: &AsyncIoInfo) -> Answer {
        self.slot_mut(number)
            .ok_or(ENOTTY)?
            .asyncio
            .add(info.into())
    }

    pub(crate) fn deassign_asyncio(&mut self, number: u16, info: &AsyncIoInfo) -> Answer {
        self.slot_mut(number)
            .ok_or(ENOTTY)?
            .asyncio
            .remove(info.into());
        Ok(())
    }

    /// Puts one element of at most `data`'s size into a ring.
    pub(crate) fn ring_put(&mut self, ring: u64, data: &[u8]) -> Put {
        let word = |offset: u64| ring.wrapping_add(offset);
        let element = self.memory.read_u32(word(12));
        let head = self.memory.read_u32(word(16));
        let tail = self.memory.read_u32(word(20));
        let flags = self.memory.read_u32(word(24));
        let size = self.memory.read_u32(word(36));
        let next = advance(tail, element, size);
        if next == head && flags & OVERWRITE == 0 {
            return Put::Full;
        }
        let fits = usize::try_from(element).is_ok_and(|element| element <= data.len());
        if !fits {
            return Put::Corrupt;
        }
        let at = ring.wrapping_add(HEADER).wrapping_add(u64::from(tail));
        if usize::try_from(element).is_ok_and(|element| element == data.len()) {
            self.memory.write(at, data);
        } else if let Some(zeros) = usize::try_from(element)
            .ok()
            .and_then(|element| data.get(..element))
        {
            // The copying function refuses a source larger than the room and clears the room instead.
            self.memory.write(at, &alloc::vec![0; zeros.len()]);
        }
        if next == head {
            let overruns = self.memory.read_u32(word(32));
            self.memory
                .write_u32(word(32), overruns.wrapping_add(flags & COUNT_OVERRUNS));
            self.memory
                .write_u32(word(16), advance(head, element, size));
        }
        self.memory.write_u32(word(20), next);
        Put::Stored
    }

    /// Puts an event without data into a VM's ring of events, if it has one.
    pub(crate) fn send_event(&mut self, number: u16, kind: u32) {
        if let Some(ring) = self.slot(number).and_then(|slot| slot.event_ring) {
            let mut event = [0; 32];
            for (to, from) in event.iter_mut().zip(kind.to_le_bytes()) {
                *to = from;
            }
            let element = self.memory.read_u32(ring.wrapping_add(12));
            if self.ring_put(ring, &event) == Put::Stored && element == 32 {
                self.upcall();
            }
        }
    }
}

/// `sbuf_next_ptr`: 32-bit arithmetic, one wrap at most.
const fn advance(position: u32, span: u32, size: u32) -> u32 {
    let next = position.wrapping_add(span);
    if next >= size {
        next.wrapping_sub(size)
    } else {
        next
    }
}

impl From<&AsyncIoInfo> for AsyncIo {
    fn from(info: &AsyncIoInfo) -> Self {
        Self {
            kind: info.kind.0,
            match_data: info.match_data,
            address: info.addr.0,
            fd: info.fd,
            data: info.data,
        }
    }
}
