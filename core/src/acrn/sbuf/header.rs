//! The head of a shared buffer.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::layout::{layout, zero_default};
use crate::{Payload, flags};

flags! {
    /// How the hypervisor writes a buffer.
    pub struct SbufFlags(u32) {
        /// Count what was lost in `overrun_cnt`.
        #[doc(alias = "OVERRUN_CNT_EN")]
        COUNT_OVERRUNS = 1 << 0,
        /// When the ring is full, drop the oldest element instead of the new one. The hypervisor then moves `head`
        /// too.
        #[doc(alias = "OVERWRITE_EN")]
        OVERWRITE = 1 << 1,
    }
}

/// The first 64 bytes of a shared buffer; the elements follow.
///
/// This is the buffer as a program prepares it. Once handed over it changes under the reader, who then goes through
/// a [`SharedPage`](crate::SharedPage).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "shared_buf")]
#[doc(alias = "shared_buf")]
pub struct SharedBufferHeader {
    /// [`MAGIC`](Self::MAGIC). The hypervisor looks at it for buffers of a VM, and only when one is set up.
    pub magic: u64,
    /// How many elements there is room for. One is always free, so the ring holds one less.
    pub ele_num: u32,
    /// Bytes of an element. The hypervisor writes none that is larger than what it has to say.
    #[payload(units = "bytes")]
    pub ele_size: u32,
    /// Where the reader is, in bytes after the header. The ring is empty when it equals `tail`.
    #[payload(volatile)]
    pub head: u32,
    /// Where the writer is, in bytes after the header.
    #[payload(volatile)]
    pub tail: u32,
    /// How the hypervisor writes.
    pub flags: SbufFlags,
    /// Zero.
    #[payload(reserved)]
    pub reserved: u32,
    /// How many elements were lost.
    #[payload(volatile)]
    pub overrun_cnt: u32,
    /// Bytes of all elements: `ele_num` times `ele_size`.
    #[payload(units = "bytes")]
    pub size: u32,
    /// Zero.
    #[payload(reserved)]
    pub padding: [u32; 6],
}
layout!(SharedBufferHeader: 64 bytes, align 8 {
    magic @ 0, ele_num @ 8, ele_size @ 12, head @ 16, tail @ 20, flags @ 24, reserved @ 28, overrun_cnt @ 32, size @ 36,
    padding @ 40,
});
zero_default!(SharedBufferHeader);

impl SharedBufferHeader {
    /// What makes memory a shared buffer.
    #[doc(alias = "SBUF_MAGIC")]
    pub const MAGIC: u64 = 0x5aa5_7aa7_1aa1_3aa3;
    /// Bytes before the first element.
    #[doc(alias = "SBUF_HEAD_SIZE")]
    pub const SIZE_BYTES: usize = 64;
    /// The most that a buffer may measure, header included.
    #[doc(alias = "SBUF_MAX_SIZE")]
    pub const MAX_BYTES: usize = 1 << 22;

    /// An empty ring of as many elements of `ele_size` bytes as fit behind a header in `bytes` bytes of memory.
    ///
    /// `None` where not even two fit (one is always free), where an element has no size, or where the memory is
    /// larger than a buffer may be.
    ///
    /// ```
    /// use hypercall_core::acrn::SharedBufferHeader;
    ///
    /// let page = SharedBufferHeader::for_memory(4096, 8).expect("a page has room for two");
    /// assert_eq!((page.ele_num, page.size), (504, 4032));
    /// ```
    #[must_use]
    pub fn for_memory(bytes: usize, ele_size: u32) -> Option<Self> {
        if bytes > Self::MAX_BYTES {
            return None;
        }
        let room = u32::try_from(bytes.checked_sub(Self::SIZE_BYTES)?).ok()?;
        let ele_num = room.checked_div(ele_size)?;
        if ele_num < 2 {
            return None;
        }
        Some(Self {
            magic: Self::MAGIC,
            ele_num,
            ele_size,
            size: ele_num.checked_mul(ele_size)?,
            ..Self::default()
        })
    }
}
