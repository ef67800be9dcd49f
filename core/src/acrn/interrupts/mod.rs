//! Interrupts into a VM: messages, lines, pass-through devices, and a look at how many there were.

mod irqline;
mod monitor;
mod msi;
mod ptdev;

pub use irqline::{IrqLine, IrqLineOp};
pub use monitor::{IntrMonitor, IntrMonitorCommand, PirqCount};
pub use msi::{DeliveryMode, MsiAddress, MsiData, MsiEntry};
pub use ptdev::{Intx, PtdevIrq, PtdevIrqKind};
