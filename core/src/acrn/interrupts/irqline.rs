//! A virtual interrupt line, set by a value that travels in a register.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::acrn::ids::Gsi;
use crate::acrn::layout::{layout, zero_default};
use crate::schema::Kind;
use crate::{Payload, Value, open_enum};

open_enum! {
    /// What happens to an interrupt line. The hypervisor accepts any other number, answers 0 and does nothing
    /// (observed).
    pub struct IrqLineOp(u32) {
        /// The line goes high and stays there.
        #[doc(alias = "GSI_SET_HIGH")]
        HIGH = 0,
        /// The line goes low and stays there.
        #[doc(alias = "GSI_SET_LOW")]
        LOW = 1,
        /// High, then low: an edge for a line that rests low.
        #[doc(alias = "GSI_RAISING_PULSE")]
        RAISING_PULSE = 2,
        /// Low, then high: an edge for a line that rests high.
        #[doc(alias = "GSI_FALLING_PULSE")]
        FALLING_PULSE = 3,
    }
}

/// A line and what happens to it, in one register: the line in bits 31:0, the operation in bits 63:32.
///
/// The C struct's address is never passed, although Linux's driver calls its parameter one.
///
/// ```
/// use hypercall_core::acrn::{Gsi, IrqLine, IrqLineOp};
/// use hypercall_core::Value;
///
/// let pulse = IrqLine::new(Gsi(4), IrqLineOp::RAISING_PULSE);
/// assert_eq!(pulse.to_register(), 0x2_0000_0004);
/// assert_eq!(IrqLine::from_register(0x1_0000_0005), IrqLine::new(Gsi(5), IrqLineOp::LOW));
/// ```
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
#[payload(c = "acrn_irqline_ops")]
#[doc(alias = "acrn_irqline_ops")]
pub struct IrqLine {
    /// The line: 0 to 47 for a User VM; for the Service VM as many as the machine's I/O APICs have pins.
    pub gsi: Gsi,
    /// What happens to it.
    pub op: IrqLineOp,
}
layout!(IrqLine: 8 bytes, align 4 { gsi @ 0, op @ 4 });
zero_default!(IrqLine);

impl IrqLine {
    /// This operation on this line.
    #[must_use]
    pub const fn new(gsi: Gsi, op: IrqLineOp) -> Self {
        Self { gsi, op }
    }
}

impl Value for IrqLine {
    const KIND: Kind = <Self as Payload>::KIND;

    #[inline]
    fn to_register(self) -> u64 {
        u64::from(self.gsi.0) | u64::from(self.op.0) << 32
    }

    #[inline]
    fn from_register(raw: u64) -> Self {
        Self::new(Gsi::from_register(raw), IrqLineOp::from_register(raw >> 32))
    }
}
