//! Intel's way: VMX, where VMCALL exits by itself.
//!
//! Exit reasons are those of the Intel SDM, volume 3, appendix C.

mod enter;
mod field;
mod maps;
mod sets;
mod state;

use core::arch::asm;

use bare::cpu::{cpuid, msr, set_msr};
use bare::line;
use virt::cr4;

pub use sets::Refused;

use enter::vmx_run;
use field::{read, write};
use sets::{GUEST64, Sets, WINDOW};

use crate::cpu::{Exit, Paging, Place, PortAccess, Registers, VirtualCpu};
use crate::page::Page;
use crate::timer;

const FEATURE_CONTROL: u32 = 0x3a;
const BASIC: u32 = 0x480;
const EFER: u32 = 0xc000_0080;
const VMXE: u64 = 1 << 13;

static ON: Page = Page::new();
static GUEST: Page = Page::new();

/// Whether the processor has VMX.
pub fn present() -> bool {
    cpuid(1, 0)[2] & (1 << 5) != 0
}

/// The one virtual processor.
#[derive(Debug)]
pub struct Vmx {
    launched: bool,
}

impl Vmx {
    /// A processor in flat 32-bit protected mode at `entry`, paging and interrupts off.
    ///
    /// # Errors
    /// [`Refused`]: a processor that cannot do what is needed, or firmware that does not let it.
    ///
    /// # Safety
    /// Called once, in ring 0 of a processor with VMX, with all memory mapped to its own physical address.
    pub unsafe fn new(entry: u64) -> Result<Self, Refused> {
        // SAFETY: the registers exist because VMX does; the pages are this module's; the fixed bits of CR0 and CR4 are
        // those that VMX wants, and change nothing that this program relies on.
        let true_controls = unsafe {
            let control = msr(FEATURE_CONTROL);
            if control & 1 == 0 {
                set_msr(FEATURE_CONTROL, control | 5);
            } else if control & 4 == 0 {
                return Err(Refused::Locked);
            }
            let (cr0, cr4): (u64, u64);
            asm!("mov {}, cr0", "mov {}, cr4", out(reg) cr0, out(reg) cr4, options(nostack));
            asm!("mov cr0, {}", in(reg) (cr0 | msr(0x486)) & msr(0x487), options(nostack));
            asm!("mov cr4, {}", in(reg) (cr4 | VMXE | msr(0x488)) & msr(0x489), options(nostack));
            let basic = msr(BASIC);
            for page in [&ON, &GUEST] {
                (*page.0.get())[0] = basic & 0x7fff_ffff;
            }
            let (on, guest) = (ON.address(), GUEST.address());
            let failed: u8;
            asm!(
                "vmxon [{on}]",
                "jbe 2f",
                "vmclear [{guest}]",
                "jbe 2f",
                "vmptrld [{guest}]",
                "2:",
                "setbe {failed}",
                on = in(reg) &raw const on,
                guest = in(reg) &raw const guest,
                failed = out(reg_byte) failed,
            );
            if failed != 0 {
                return Err(Refused::NotOn);
            }
            basic & (1 << 55) != 0
        };
        Sets::choose(true_controls)?.write();
        // Everything of the maps and masks that is not named is 0: exceptions are the guest's own.
        for unused in [
            0x4004, 0x4006, 0x4008, 0x400a, 0x400e, 0x4010, 0x4014, 0x4016, 0x6000, 0x6004, 0x6006,
        ] {
            write(unused, 0);
        }
        maps::install();
        // The guest sees VMXE as 0 and may leave it there; the processor wants it set. All others that it has not stay 0, also
        // those that nobody knows yet.
        write(field::CR4_MASK, !cr4::allowed(cpuid(1, 0), cpuid(7, 0)));
        state::guest(entry);
        state::host();
        let mut vmx = Self { launched: false };
        for port in timer::PORTS {
            vmx.keep_port(port, true);
        }
        Ok(vmx)
    }
}

fn port_access() -> PortAccess {
    let what = read(field::QUALIFICATION);
    PortAccess {
        input: what & 8 != 0,
        string: what & 16 != 0,
        size: (what & 7) as u8 + 1,
        port: (what >> 16) as u16,
        length: read(field::LENGTH),
    }
}

impl VirtualCpu for Vmx {
    fn name(&self) -> &'static str {
        "VMX with extended page tables"
    }

    fn protects_memory(&self) -> bool {
        true
    }

    fn run(&mut self, registers: &mut Registers) -> Exit {
        // A 64-bit guest is said to be one at each entry; it became one by itself.
        let long = read(field::EFER) & (1 << 10) != 0;
        let entry = read(field::ENTRY);
        write(
            field::ENTRY,
            if long {
                entry | GUEST64
            } else {
                entry & !GUEST64
            },
        );
        // SAFETY: the structure holds a state that the processor accepts, or it refuses to enter; `registers` is
        // borrowed; the guest cannot reach the hypervisor's memory.
        let refused = unsafe { vmx_run(registers, u64::from(self.launched)) };
        if refused != 0 {
            line!(
                "hypervisor: VMX refuses to enter the guest: error {}",
                read(field::ERROR)
            );
            return Exit::Other(read(field::ERROR));
        }
        self.launched = true;
        self.take_interrupts();
        // An exit in the middle of an interrupt or exception of the guest's, which would be lost.
        if read(field::EXIT_EVENT) >> 31 & 1 != 0 {
            return Exit::Other(read(field::REASON));
        }
        match read(field::REASON) {
            1 | 52 => Exit::Interrupt,
            2 => Exit::Died,
            7 => Exit::Window,
            10 => Exit::Cpuid,
            12 => Exit::Halt,
            18 => Exit::Vmcall,
            13 => Exit::Invalidate,
            // GETSEC, VMX's own, INVEPT, INVVPID, XSETBV.
            11 | 19..=27 | 50 | 53 | 55 => Exit::Forbidden,
            // CR4 with a bit that the guest has not.
            28 => Exit::Register,
            30 => Exit::Port(port_access()),
            31 | 32 => Exit::Register,
            48 => Exit::Memory(read(field::GUEST_PHYSICAL)),
            other => Exit::Other(other),
        }
    }

    fn place(&self) -> Place {
        Place {
            rip: read(field::RIP),
            rsp: read(field::RSP),
            rflags: read(field::RFLAGS),
        }
    }

    fn set_place(&mut self, place: Place) {
        write(field::RIP, place.rip);
        write(field::RSP, place.rsp);
        write(field::RFLAGS, place.rflags);
        // Behind the instruction after STI or MOV to SS interrupts come in.
        write(field::SHADOW, read(field::SHADOW) & !3);
    }

    fn privilege(&self) -> u8 {
        (read(field::SS_RIGHTS) >> 5) as u8 & 3
    }

    fn paging(&self) -> Paging {
        Paging {
            cr0: read(field::CR0),
            cr3: read(field::CR3),
            efer: read(field::EFER),
        }
    }

    fn set_cr4(&mut self, value: u64) {
        write(field::CR4, value | VMXE);
    }

    fn raise(&mut self, vector: u8, error: Option<u32>) {
        let code = if error.is_some() { 1 << 11 } else { 0 };
        write(field::EVENT_ERROR, u64::from(error.unwrap_or(0)));
        write(field::EVENT, u64::from(vector) | 3 << 8 | code | 1 << 31);
    }

    fn open(&self) -> bool {
        read(field::RFLAGS) & 0x200 != 0
            && read(field::SHADOW) & 3 == 0
            && read(field::EVENT) >> 31 & 1 == 0
    }

    fn interrupt(&mut self, vector: u8) {
        write(field::EVENT, u64::from(vector) | 1 << 31);
    }

    fn want_window(&mut self, wanted: bool) {
        let rest = read(field::PROCESSOR) & !WINDOW;
        write(field::PROCESSOR, rest | if wanted { WINDOW } else { 0 });
    }

    fn take_interrupts(&mut self) {
        // SAFETY: handlers are installed, on a stack of their own, and preserve every register.
        unsafe { asm!("sti", "nop", "cli") };
    }

    fn keep_port(&mut self, port: u16, kept: bool) {
        maps::keep_port(port, kept);
    }

    fn idle(&mut self) {
        // SAFETY: as above. The instruction behind STI runs before an interrupt does, so none comes too early for HLT.
        unsafe { asm!("sti", "hlt", "cli") };
    }
}
