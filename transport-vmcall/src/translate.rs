//! From a block's address in this program to the address that the hypervisor knows it by.

/// Finds the guest physical address of memory of this program.
///
/// The transport asks once for each block, with the whole block.
///
/// # Safety
/// An implementation's `Some(address)` means: the `length` bytes of guest physical memory from `address` are the
/// `length` bytes from `start`, all of them, in order, and they stay so until the call returns (for memory that is
/// kept after the call: for ever). A block that is not physically contiguous is `None`. The hypervisor reads and
/// writes through this address: a wrong one lets it overwrite anything.
///
/// A program may rely on `length` never reaching past the block. It may be 0; any address will do then.
pub unsafe trait Translate {
    /// The guest physical address of `length` bytes at `start`, or `None` where they are not mapped or not contiguous.
    fn translate(&self, start: *const u8, length: usize) -> Option<u64>;
}

/// Memory is mapped to its own physical address, as in most small kernels and in firmware. Costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Identity(());

impl Identity {
    /// The identity.
    ///
    /// Whether memory *is* mapped so is part of the contract of [`Vmcall::new`](crate::Vmcall::new), which is where it
    /// starts to matter.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "nobody should get one without a thought"
    )]
    pub const fn new() -> Self {
        Self(())
    }
}

// SAFETY: `Vmcall::new` makes its caller promise that the mapping is the identity where this type is used; under that
// promise address and contents agree, contiguity in one space is contiguity in the other, and nothing moves.
unsafe impl Translate for Identity {
    #[inline]
    fn translate(&self, start: *const u8, _: usize) -> Option<u64> {
        Some(start.addr() as u64)
    }
}

// SAFETY: it is the same answer.
unsafe impl<X: Translate + ?Sized> Translate for &X {
    #[inline]
    fn translate(&self, start: *const u8, length: usize) -> Option<u64> {
        (**self).translate(start, length)
    }
}
