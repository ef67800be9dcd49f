//! The sets of controls that the hypervisor runs its guest with (Intel SDM volume 3, chapter 25).

use core::fmt;

use bare::cpu::msr;
use virt::controls::{Control, Missing, choose};

use super::field::{self, write};

/// Interrupts of the machine's end the guest's run; so does a timer of VMX's own.
const INTERRUPTS: Control = (1, "external-interrupt exiting");
const PREEMPTION: u64 = 1 << 6;
/// How long the guest runs at most, in ticks of the time-stamp counter. Bochs forgets at an entry that interrupts are no longer
/// held back, until the guest's flag changes: they are taken at every exit, and wait this long at most.
const RUN: u64 = 1 << 18;
const MISC: u32 = 0x485;
/// HLT, the interrupt window, maps of ports and of MSRs, the second set of controls.
const HLT: Control = (1 << 7, "HLT exiting");
pub const WINDOW: u64 = 1 << 2;
const IO_MAPS: Control = (1 << 25, "use I/O bitmaps");
const MSR_MAPS: Control = (1 << 28, "use MSR bitmaps");
const SECOND: Control = (1 << 31, "activate secondary controls");
/// Extended page tables, and a guest that may have paging off.
const EPT: Control = (1 << 1, "enable EPT");
const UNRESTRICTED: Control = (1 << 7, "unrestricted guest");
/// At exits: a 64-bit host, EFER saved and loaded. At entries: a 64-bit guest, EFER loaded.
const HOST64: Control = (1 << 9, "host address-space size");
const SAVE_EFER: Control = (1 << 20, "save IA32_EFER");
const LOAD_EFER: Control = (1 << 21, "load IA32_EFER");
pub const GUEST64: u64 = 1 << 9;
const ENTRY_EFER: Control = (1 << 15, "load IA32_EFER");

/// Why there is no virtual processor.
#[derive(Clone, Copy, Debug)]
pub enum Refused {
    /// Firmware locked VMX out.
    Locked,
    /// The instructions that switch it on failed.
    NotOn,
    /// A control is not there.
    Missing(Missing),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("firmware locked VMX out (IA32_FEATURE_CONTROL)"),
            Self::NotOn => f.write_str("VMXON, VMCLEAR or VMPTRLD failed"),
            Self::Missing(missing) => missing.fmt(f),
        }
    }
}

/// A set of controls as this processor can have it.
fn controls(
    set: &'static str,
    register: u32,
    needed: &[Control],
    later: &[Control],
    wanted: u64,
) -> Result<u64, Refused> {
    // SAFETY: the register exists where VMX does, and the true ones where the basic register says so; the one of the second
    // set where that set was found to exist.
    let allowed = unsafe { msr(register) };
    choose(set, allowed, needed, later, wanted).map_err(Refused::Missing)
}

/// Values of the sets.
pub struct Sets {
    pin: u64,
    processor: u64,
    second: u64,
    exit: u64,
    entry: u64,
}

impl Sets {
    /// As this processor can have them. `true_controls`: there are registers that say more exactly what must be set.
    pub fn choose(true_controls: bool) -> Result<Self, Refused> {
        let register = |plain: u32, better: u32| if true_controls { better } else { plain };
        let pin = register(0x481, 0x48d);
        let pin = controls("pin-based", pin, &[INTERRUPTS], &[], PREEMPTION)?;
        let processor = register(0x482, 0x48e);
        let needed = [HLT, IO_MAPS, MSR_MAPS, SECOND];
        let window = [(WINDOW, "interrupt-window exiting")];
        let processor = controls("processor-based", processor, &needed, &window, 0)?;
        let second = controls(
            "secondary processor-based",
            0x48b,
            &[EPT, UNRESTRICTED],
            &[],
            0,
        )?;
        let exit = register(0x483, 0x48f);
        let exit = controls("VM-exit", exit, &[HOST64, SAVE_EFER, LOAD_EFER], &[], 0)?;
        let entry = register(0x484, 0x490);
        let guest = [(GUEST64, "IA-32e mode guest")];
        let entry = controls("VM-entry", entry, &[ENTRY_EFER], &guest, 0)?;
        Ok(Self {
            pin,
            processor,
            second,
            exit,
            entry,
        })
    }

    /// Writes them into the control structure, and how long the guest runs at most.
    pub fn write(&self) {
        write(field::PIN, self.pin);
        if self.pin & PREEMPTION != 0 {
            // SAFETY: the register exists where VMX does. It says how much slower than the counter this timer is.
            write(field::PREEMPTION, RUN >> (unsafe { msr(MISC) } & 31));
        }
        write(field::PROCESSOR, self.processor);
        write(field::SECONDARY, self.second);
        write(field::EXIT, self.exit);
        write(field::ENTRY, self.entry);
    }
}
