//! The hypervisor's side of an interface: registers and a view of guest memory in, RAX and memory out.
//!
//! The interface attribute generates, for every trait, a server that drives any implementation of that trait:
//! it decodes the registers and copies blocks in once, calls the method, and copies blocks out only on success.
//! What is decided *before* a method runs belongs to the hypervisor and not to the interface: see [`Rules`].
//!
//! Everything here treats the guest as hostile: no register value and no memory content makes it panic, allocate, or
//! touch memory that the call does not name.

use core::fmt;

use crate::call::CallInfo;
use crate::error::{Error, ErrorKind};
use crate::ids::Gpa;
use crate::payload::{Payload, Yields};
use crate::transport::TransportError;

/// The caller's registers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Registers {
    /// The hypercall number, all 64 bits.
    pub number: u64,
    /// The two parameters.
    pub args: [u64; 2],
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = self.args;
        write!(f, "{:#x}({first:#x}, {second:#x})", self.number)
    }
}

/// The caller's memory, by guest physical address.
///
/// `&self`: other processors of the guest use it at the same time, so an implementation shares it by its own means.
pub trait GuestMemory {
    /// Copies bytes out of guest memory.
    ///
    /// # Errors
    /// [`Unmapped`] when a byte of the range is not memory that the hypervisor reads for the guest. The content of
    /// `bytes` is then unspecified.
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped>;

    /// Copies bytes into guest memory, page by page, as hypervisors do: what lies before an unmapped page is written.
    ///
    /// # Errors
    /// [`Unmapped`] when a byte of the range is not memory that the hypervisor writes for the guest.
    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped>;
}

impl<M: GuestMemory + ?Sized> GuestMemory for &M {
    fn read(&self, gpa: u64, bytes: &mut [u8]) -> Result<(), Unmapped> {
        (**self).read(gpa, bytes)
    }
    fn write(&self, gpa: u64, bytes: &[u8]) -> Result<(), Unmapped> {
        (**self).write(gpa, bytes)
    }
}

/// A guest physical address behind which there is nothing that can be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped;

/// Something that answers raw calls: a server generated for an interface, or a hypervisor with rules of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer raw calls",
    label = "this must be a server",
    note = "wrap an implementation in its interface's server: `AcrnServer::new(&acrn)` for ACRN, the generated `…Server::new(…)` for another interface"
)]
pub trait Serve {
    /// Answers one call with RAX.
    ///
    /// # Errors
    /// [`TransportError`] where the caller would get no answer.
    fn serve(&self, registers: Registers, memory: &dyn GuestMemory) -> Result<i64, TransportError>;
}

impl<S: Serve + ?Sized> Serve for &S {
    fn serve(&self, registers: Registers, memory: &dyn GuestMemory) -> Result<i64, TransportError> {
        (**self).serve(registers, memory)
    }
}

/// What the interface leaves to the hypervisor.
///
/// The defaults are those of a hypervisor without oddities: -25 (ENOTTY) for an unknown number, -14 (EFAULT) for
/// memory that cannot be copied.
pub trait Rules {
    /// RAX for a number that no call has.
    fn unknown(&self, _registers: Registers) -> i64 {
        -25
    }
    /// RAX where a parameter block cannot be read.
    fn unreadable(&self, _call: &'static CallInfo) -> i64 {
        -14
    }
    /// RAX where the first element of an array cannot be read. A later one ends the call with the answer to the
    /// element before it.
    fn unreadable_element(&self, call: &'static CallInfo) -> i64 {
        self.unreadable(call)
    }
    /// RAX where a result cannot be written.
    fn unwritable(&self, call: &'static CallInfo) -> i64 {
        self.unreadable(call)
    }
    /// A block was read and is about to be decoded: a hypervisor that does not believe a field of it replaces it here.
    fn correct(&self, _call: &'static CallInfo, _block: &mut [u8]) {}
    /// How many bytes a call with an undescribed buffer (`&[u8]`, `&mut [u8]`) reads and writes, at most [`BYTES_LIMIT`]. What the
    /// caller's slice has does not travel: only the address does. The hypervisor knows it by the registers, or by the call.
    ///
    /// `None`, which is the default, is that nobody knows. The method is not called then, and neither is it for more than
    /// [`BYTES_LIMIT`]: the caller gets [`TransportError::Unsupported`], and never fewer bytes than it passed without a word.
    fn extent(&self, _call: &'static CallInfo, _args: [u64; 2]) -> Option<usize> {
        None
    }
}

/// The most that a server copies for an undescribed buffer.
pub const BYTES_LIMIT: usize = 4096;

const NO_EXTENT: &str = "the server does not know how many bytes stand behind the address of an argument `&[u8]`: \
                         its rules have to say it, by `Rules::extent`";
const LONG_EXTENT: &str =
    "the server's rules say that an argument `&[u8]` has more than `BYTES_LIMIT` bytes";

/// [`Rules`] without oddities.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainRules;
impl Rules for PlainRules {}

/// The steps of the generated servers. Not an interface for people.
#[doc(hidden)]
pub struct Step<'s, R: ?Sized> {
    pub call: &'static CallInfo,
    pub args: [u64; 2],
    pub memory: &'s dyn GuestMemory,
    pub rules: &'s R,
}

/// How a step ends a call early: with an answer, or without one.
#[doc(hidden)]
pub enum Stop {
    Answer(i64),
    None(TransportError),
}

#[doc(hidden)]
pub type Stepped<T> = Result<T, Stop>;

#[doc(hidden)]
pub fn finish(outcome: Stepped<i64>) -> Result<i64, TransportError> {
    match outcome {
        Ok(rax) | Err(Stop::Answer(rax)) => Ok(rax),
        Err(Stop::None(error)) => Err(error),
    }
}

#[doc(hidden)]
impl<R: Rules + ?Sized> Step<'_, R> {
    #[inline]
    pub fn register(&self, register: usize) -> u64 {
        self.args.get(register).copied().unwrap_or(0)
    }

    /// Copies a block in.
    pub fn read(&self, register: usize, block: &mut [u8]) -> Stepped<()> {
        self.memory
            .read(self.register(register), block)
            .map_err(|Unmapped| Stop::Answer(self.rules.unreadable(self.call)))?;
        self.rules.correct(self.call, block);
        Ok(())
    }

    /// As [`read`](Step::read), typed.
    pub fn block<P: Payload>(&self, register: usize) -> Stepped<P> {
        let mut payload = P::zeroed();
        self.read(register, payload.as_block_mut())?;
        Ok(payload)
    }

    /// Copies a block out.
    pub fn write(&self, register: usize, block: &[u8]) -> Stepped<()> {
        self.memory
            .write(self.register(register), block)
            .map_err(|Unmapped| Stop::Answer(self.rules.unwritable(self.call)))
    }

    /// The part of `buffer` that this call covers, copied in.
    pub fn bytes<'b>(
        &self,
        register: usize,
        buffer: &'b mut [u8; BYTES_LIMIT],
    ) -> Stepped<&'b mut [u8]> {
        let unknown = |why| Stop::None(TransportError::Unsupported(why));
        let extent = self.rules.extent(self.call, self.args);
        let extent = extent.ok_or_else(|| unknown(NO_EXTENT))?;
        let part = buffer
            .get_mut(..extent)
            .ok_or_else(|| unknown(LONG_EXTENT))?;
        self.memory
            .read(self.register(register), part)
            .map_err(|Unmapped| Stop::Answer(self.rules.unreadable(self.call)))?;
        Ok(part)
    }

    /// RAX for a method's refusal. `Ok` is 0 in every call that does not answer in RAX.
    pub fn answer<T>(&self, result: Result<T, Error>) -> Stepped<T> {
        result.map_err(refusal)
    }

    /// As [`answer`](Step::answer), where RAX is the result. What RAX cannot express is no answer: a result that would
    /// read as an error code, and an error code that would read as a result.
    pub fn rax(&self, result: Result<u64, Error>) -> Stepped<i64> {
        match result {
            Ok(value) => i64::try_from(value).map_err(|_| {
                Stop::None(TransportError::Lost(
                    "the server's method returned a value that reads as an error code",
                ))
            }),
            Err(error) if error.kind == ErrorKind::Refused && error.rax >= 0 => {
                Err(Stop::None(TransportError::Lost(
                    "the server's method refused with a code that reads as a result",
                )))
            }
            Err(error) => Err(refusal(error)),
        }
    }

    /// As [`answer`](Step::answer), where the block carries the result: a rejection is written into it.
    pub fn yielded<T, P: Yields<T>>(
        &self,
        register: usize,
        payload: &mut P,
        result: Result<T, Error>,
    ) -> Stepped<()> {
        self.settle(payload, result, P::store, P::store_failure)?;
        self.write(register, payload.as_block())
    }

    /// Puts a method's result into the block that carries it.
    pub fn settle<T, P>(
        &self,
        payload: &mut P,
        result: Result<T, Error>,
        store: impl FnOnce(&mut P, T),
        store_failure: impl FnOnce(&mut P),
    ) -> Stepped<()> {
        match result {
            Ok(value) => store(payload, value),
            Err(Error {
                kind: ErrorKind::Rejected(_),
                ..
            }) => store_failure(payload),
            Err(other) => return Err(refusal(other)),
        }
        Ok(())
    }

    /// Hands an array to the method one element at a time, as it is applied. Stops at the first refusal, and at the end
    /// of the address space.
    pub fn elements<P>(
        &self,
        count: u64,
        address: Gpa,
        direction: crate::call::Direction,
        zeroed: impl Fn() -> P,
        block: impl Fn(&mut P) -> &mut [u8],
        mut method: impl FnMut(&mut [P]) -> Result<(), Error>,
    ) -> Stepped<i64> {
        if count == 0 {
            return self.answer(method(&mut [])).map(|()| 0);
        }
        let mut next = Some(address.0);
        for done in 0..count {
            let mut element = zeroed();
            let readable = next.filter(|at| self.memory.read(*at, block(&mut element)).is_ok());
            let Some(at) = readable else {
                return if done == 0 {
                    Err(Stop::Answer(self.rules.unreadable_element(self.call)))
                } else {
                    Ok(0)
                };
            };
            self.answer(method(core::slice::from_mut(&mut element)))?;
            let bytes = block(&mut element);
            if direction != crate::call::Direction::Read && self.memory.write(at, bytes).is_err() {
                return Err(Stop::Answer(self.rules.unwritable(self.call)));
            }
            next = u64::try_from(bytes.len())
                .ok()
                .and_then(|size| at.checked_add(size));
        }
        Ok(0)
    }
}

#[cold]
fn refusal(error: Error) -> Stop {
    match error.kind {
        // An answer that made no sense to a server that is itself a client is passed on as it came.
        ErrorKind::Refused | ErrorKind::Nonsense if error.rax != 0 => Stop::Answer(error.rax),
        ErrorKind::Transport(error) => Stop::None(error),
        ErrorKind::Layer(refusal) => Stop::None(TransportError::Layer(refusal)),
        ErrorKind::Invalid(why) => Stop::None(TransportError::Unsupported(why)),
        // A server that has no answer must not make one up.
        _ => Stop::None(TransportError::Lost(
            "the server's method failed without an error code",
        )),
    }
}
