//! Plain data that travels in memory.

use core::{fmt, mem};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::schema::Kind;

/// A block of memory whose every byte has a meaning, passed to the hypervisor by physical address.
///
/// Derived (`#[derive(Payload)]`) on a `#[repr(C)]` struct that also derives zerocopy's `FromBytes`,
/// `IntoBytes`, `Immutable` and `KnownLayout`. The derive refuses hidden padding: name it, and it goes out as
/// zeros instead of as whatever the stack held.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel as a block of memory",
    label = "its register holds the address of memory, so the type must implement `Payload`",
    note = "make it a `#[repr(C)]` struct with `#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]`; pass a register value by value, without the `&`, and return one with `result = rax`"
)]
pub trait Payload: Sized + 'static {
    /// How a tool reads the bytes.
    const KIND: Kind;
    /// Bytes that the hypervisor reads or writes.
    const SIZE: usize;

    /// The payload whose every byte is zero.
    fn zeroed() -> Self;
    /// The bytes as the hypervisor reads them.
    fn as_block(&self) -> &[u8];
    /// The bytes as the hypervisor writes them. Any value is valid.
    fn as_block_mut(&mut self) -> &mut [u8];

    /// The bytes of an array. For the interface attribute; there is no reason to call it.
    #[doc(hidden)]
    fn array_block(array: &[Self]) -> &[u8];
    /// As [`array_block`](Payload::array_block), writable.
    #[doc(hidden)]
    fn array_block_mut(array: &mut [Self]) -> &mut [u8];
}

/// A payload that carries a call's result as well: what the method returns is read from memory after RAX said 0.
///
/// Client and server use the two halves, so that both agree what an error looks like.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say how to read a `{R}` from it",
    label = "named by `result = …`, so it must implement `Yields<{R}>`",
    note = "implement `hypercall::Yields` for it, or return `Result<(), Error>`"
)]
pub trait Yields<R>: Payload {
    /// The result, from the block as the hypervisor left it.
    ///
    /// # Errors
    /// [`Rejection`] when RAX was 0 but the block says that the call did not succeed.
    fn yielded(&self) -> Result<R, Rejection>;
    /// What a server leaves in the block so that [`yielded`](Yields::yielded) reads `value`.
    fn store(&mut self, value: R);
    /// What a server leaves in the block so that [`yielded`](Yields::yielded) reads a rejection.
    ///
    /// A client does the same before each call: a block that is used again has no old result in it that could be taken for
    /// the answer of a hypervisor that wrote none. So it must touch nothing that goes in. Where every value of the field is a
    /// possible result, nothing can tell, and it may do nothing.
    fn store_failure(&mut self);

    /// [`store_failure`](Yields::store_failure) in a block's bytes. A function so that a table can point at it.
    #[doc(hidden)]
    fn unset(block: &mut [u8]) {
        let mut payload = Self::zeroed();
        if copy_block(&mut payload, block).is_some() {
            payload.store_failure();
            block.copy_from_slice(payload.as_block());
        }
    }

    /// Shows what a block yields. A function so that a table can point at it.
    #[doc(hidden)]
    fn show_yielded(block: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result
    where
        R: fmt::Debug,
    {
        let mut payload = Self::zeroed();
        if copy_block(&mut payload, block).is_none() {
            return f.write_str("?");
        }
        match payload.yielded() {
            Ok(value) => value.fmt(f),
            Err(Rejection(how)) => write!(f, "rejected ({how})"),
        }
    }
}

/// RAX said 0, memory says otherwise: how the block says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection(pub &'static str);

impl Payload for u8 {
    const KIND: Kind = Kind::Unsigned;
    const SIZE: usize = 1;
    fn zeroed() -> Self {
        0
    }
    fn as_block(&self) -> &[u8] {
        self.as_bytes()
    }
    fn as_block_mut(&mut self) -> &mut [u8] {
        self.as_mut_bytes()
    }
    fn array_block(array: &[Self]) -> &[u8] {
        array
    }
    fn array_block_mut(array: &mut [Self]) -> &mut [u8] {
        array
    }
}

/// A payload that must start at a page boundary. It travels as `T`'s bytes, not as a whole page.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(4096))]
pub struct PageAligned<T>(pub T);

impl<T: fmt::Debug> fmt::Debug for PageAligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Payload> PageAligned<T> {
    /// Never holds where it is used: its use is the error.
    const NO_ARRAY: () = assert!(
        T::SIZE > 4096,
        "page-aligned payloads cannot travel as an array, which would have gaps: make the array one payload"
    );
}

impl<T: Payload> Payload for PageAligned<T> {
    const KIND: Kind = T::KIND;
    const SIZE: usize = {
        assert!(T::SIZE <= 4096, "a page-aligned payload must fit one page");
        T::SIZE
    };
    fn zeroed() -> Self {
        Self(T::zeroed())
    }
    fn as_block(&self) -> &[u8] {
        self.0.as_block()
    }
    fn as_block_mut(&mut self) -> &mut [u8] {
        self.0.as_block_mut()
    }
    fn array_block(_: &[Self]) -> &[u8] {
        const { Self::NO_ARRAY };
        &[]
    }
    fn array_block_mut(_: &mut [Self]) -> &mut [u8] {
        const { Self::NO_ARRAY };
        &mut []
    }
}

/// For the derive: plain data, as zerocopy sees it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "payload `{Self}` is not plain data",
    label = "every byte must have a meaning, and every bit pattern must be valid",
    note = "add `#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]` from zerocopy; what they refuse cannot be a field"
)]
pub trait PlainData: Sized {
    fn plain_zeroed() -> Self;
    fn plain_array(array: &[Self]) -> &[u8];
    fn plain_array_mut(array: &mut [Self]) -> &mut [u8];
}

// One message about plain data instead of one for each of zerocopy's traits.
#[diagnostic::do_not_recommend]
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout> PlainData for T {
    #[inline]
    fn plain_zeroed() -> Self {
        Self::new_zeroed()
    }
    #[inline]
    fn plain_array(array: &[Self]) -> &[u8] {
        array.as_bytes()
    }
    #[inline]
    fn plain_array_mut(array: &mut [Self]) -> &mut [u8] {
        array.as_mut_bytes()
    }
}

/// Fills a payload from bytes of exactly its size.
pub(crate) fn copy_block<P: Payload>(payload: &mut P, bytes: &[u8]) -> Option<()> {
    let block = payload.as_block_mut();
    if block.len() != bytes.len() {
        return None;
    }
    block.copy_from_slice(bytes);
    Some(())
}

const _: () = assert!(mem::align_of::<PageAligned<u8>>() == 4096);
