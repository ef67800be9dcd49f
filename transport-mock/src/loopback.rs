//! A transport that ends in a server of the same machine: client, registers, memory, dispatcher, implementation.
//!
//! Nothing is short-circuited. Blocks are copied into guest memory at guest physical addresses, the server gets two
//! registers and that memory, and what it wrote is copied back: what a program sees is what it would see over a real
//! hypervisor that answers like this one.

use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::CallInfo;
use hypercall::server::{GuestMemory, Registers, Serve};
use hypercall::{Gpa, SharedPage, SharedRef, Transport, TransportError};
use spin::Mutex;

/// Bytes of a page.
const PAGE: u64 = 4096;

/// Guest memory that can make live pages of this program appear at a guest physical address.
pub trait Mount: GuestMemory {
    /// The address at which the pages are to be found from now on, the same for the same pages. `None` when there is
    /// no room.
    fn mount(&self, pages: &'static [SharedPage]) -> Option<Gpa>;
}

impl<M: Mount + ?Sized> Mount for &M {
    fn mount(&self, pages: &'static [SharedPage]) -> Option<Gpa> {
        (**self).mount(pages)
    }
}

/// Carries calls to a server, through guest memory.
#[derive(Debug)]
pub struct Loopback<S, M> {
    server: S,
    memory: M,
    /// Where blocks are put. One call uses it at a time.
    scratch: Mutex<Scratch>,
}

#[derive(Clone, Copy, Debug)]
struct Scratch {
    start: u64,
    end: u64,
}

impl<S: Serve, M: Mount> Loopback<S, M> {
    /// A loopback that puts the blocks of a call into `length` bytes of guest memory at `start`, which nothing else
    /// uses. 64 KiB is plenty for anything but long arrays.
    ///
    /// Both are rounded inwards to whole pages; every block starts at a page boundary.
    ///
    /// Memory that does not keep what is written makes every call with a block an error. Over a
    /// [`FakeAcrn`](crate::fake::FakeAcrn) that is address 0 too, which ACRN takes for a null pointer.
    pub const fn new(server: S, memory: M, start: Gpa, length: u64) -> Self {
        let end = start.0.saturating_add(length);
        Self {
            server,
            memory,
            scratch: Mutex::new(Scratch {
                start: start.0.saturating_add(PAGE - 1) & !(PAGE - 1),
                end: end & !(PAGE - 1),
            }),
        }
    }

    /// The server.
    pub const fn server(&self) -> &S {
        &self.server
    }

    /// The guest memory.
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    fn put(&self, scratch: &mut Scratch, bytes: &[u8]) -> Result<u64, TransportError> {
        const FULL: TransportError = TransportError::Unsupported(
            "the call's blocks do not fit the loopback's scratch memory",
        );
        let length = u64::try_from(bytes.len()).map_err(|_| FULL)?;
        let at = scratch.start;
        let end = at.checked_add(length.max(1)).ok_or(FULL)?;
        if end > scratch.end {
            return Err(FULL);
        }
        if !self.keeps(at) || self.memory.write(at, bytes).is_err() {
            return Err(TransportError::Unsupported(
                "the loopback's scratch memory is not guest memory that keeps what is written; choose RAM that nothing else uses",
            ));
        }
        scratch.start = end.checked_next_multiple_of(PAGE).ok_or(FULL)?;
        Ok(at)
    }

    /// Whether memory at an address keeps what is written. Not all does: a device's, or what ACRN takes for a null pointer.
    fn keeps(&self, at: u64) -> bool {
        const MARK: u8 = 0xa5;
        let mut byte = [0];
        self.memory.write(at, &[MARK]).is_ok()
            && self.memory.read(at, &mut byte).is_ok()
            && byte == [MARK]
    }

    fn take(&self, at: u64, bytes: &mut [u8]) -> Result<(), TransportError> {
        self.memory
            .read(at, bytes)
            .map_err(|_| TransportError::Lost("the loopback's scratch memory went away"))
    }

    /// Places an argument. Returns the register, and where a nested block is.
    fn place(
        &self,
        scratch: &mut Scratch,
        argument: &Arg<'_>,
    ) -> Result<(u64, u64), TransportError> {
        match argument {
            Arg::None => Ok((0, 0)),
            Arg::Value(value) => Ok((*value, 0)),
            Arg::Read(bytes) => Ok((self.put(scratch, bytes)?, 0)),
            Arg::Write(bytes) | Arg::ReadWrite(bytes) => Ok((self.put(scratch, bytes)?, 0)),
            Arg::Linked(Linked {
                header,
                offset,
                target,
            }) => {
                if offset.checked_add(8).is_none_or(|end| end > header.len()) {
                    return Err(TransportError::Unsupported(
                        "a header without room for an address",
                    ));
                }
                let nested = match target {
                    Target::Read(bytes) => self.put(scratch, bytes)?,
                    Target::ReadWrite(bytes) => self.put(scratch, bytes)?,
                    Target::Shared(SharedRef::Address(gpa)) => gpa.0,
                    Target::Shared(SharedRef::Pages(pages)) => {
                        self.memory
                            .mount(pages)
                            .ok_or(TransportError::Unsupported(
                                "the guest memory has no room for shared pages",
                            ))?
                            .0
                    }
                };
                let register = self.put(scratch, header)?;
                let field = u64::try_from(*offset)
                    .ok()
                    .and_then(|offset| register.checked_add(offset));
                field
                    .and_then(|field| self.memory.write(field, &nested.to_le_bytes()).ok())
                    .ok_or(TransportError::Unsupported(
                        "a header without room for an address",
                    ))?;
                Ok((register, nested))
            }
        }
    }
}

impl<S: Serve, M: Mount> Transport for Loopback<S, M> {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        let guard = self.scratch.lock();
        let mut scratch = *guard;
        let mut registers = Registers {
            number: info.number,
            args: [0; 2],
        };
        let mut nested = [0; 2];
        for ((argument, register), nested) in args.iter().zip(&mut registers.args).zip(&mut nested)
        {
            (*register, *nested) = self.place(&mut scratch, argument)?;
        }
        let rax = self.server.serve(registers, &self.memory)?;
        for ((argument, register), nested) in args.iter_mut().zip(registers.args).zip(nested) {
            match argument {
                Arg::Write(bytes) | Arg::ReadWrite(bytes) => self.take(register, bytes)?,
                Arg::Linked(Linked {
                    target: Target::ReadWrite(bytes),
                    ..
                }) => self.take(nested, bytes)?,
                _ => {}
            }
        }
        Ok(rax)
    }
}
