//! AMD's way: SVM. VMCALL is Intel's instruction and raises #UD here, which the hypervisor intercepts.
//!
//! Exit codes are those of the AMD manual, volume 2, appendix C.

mod enter;
mod field;
mod maps;

use core::arch::asm;

use bare::cpu::{cpuid, msr, set_msr};

use enter::svm_run;

use crate::cpu::{Exit, Paging, Place, PortAccess, Registers, VirtualCpu};
use crate::page::Page;
use crate::timer;

const EFER: u32 = 0xc000_0080;
const SVME: u64 = 1 << 12;
/// What the guest may set in EFER: SCE, LME, LMA, NXE.
const EFER_OF_GUEST: u64 = 0xd01;
const LMA: u64 = 1 << 10;
/// In the field for virtual interrupts: one is pending, whatever the task priority; the guest's interrupt flag and task
/// priority are its own.
const PENDING: u64 = 1 << 8;
const OWN_FLAG: u64 = 1 << 20 | 1 << 24;
/// In the same field: the guest's task priority, its CR8, which the processor keeps there and nobody else changes.
const TASK_PRIORITY: u64 = 0xff;
/// Among the intercepts: a virtual interrupt.
const VIRTUAL_INTERRUPT: u32 = 4;
const VM_HSAVE_PA: u32 = 0xc001_0117;

static GUEST: Page = Page::new();
static HOST: Page = Page::new();
static SAVE: Page = Page::new();
/// Whether the processor has SVM.
pub fn present() -> bool {
    cpuid(0x8000_0000, 0)[0] >= 0x8000_000a && cpuid(0x8000_0001, 0)[2] & 4 != 0
}

/// The one virtual processor.
#[derive(Debug)]
pub struct Svm {
    nested: bool,
}

impl Svm {
    /// A processor in flat 32-bit protected mode at `entry`, paging and interrupts off.
    ///
    /// # Safety
    /// Called once, in ring 0 of a processor with SVM, with all memory mapped to its own physical address.
    pub unsafe fn new(entry: u64) -> Self {
        let nested = cpuid(0x8000_000a, 0)[3] & 1 != 0;
        // SAFETY: the processor has these registers because it has SVM, and the pages are this module's.
        unsafe {
            set_msr(EFER, msr(EFER) | SVME);
            set_msr(VM_HSAVE_PA, SAVE.address());
            asm!("clgi", "vmsave rax", in("rax") HOST.address(), options(nostack));
        }
        let mut svm = Self { nested };
        // Writes of CR4: XSETBV would be intercepted as well, but not by QEMU 7.2.
        svm.put32(field::REGISTERS, 1 << (16 + 4));
        svm.put32(field::EXCEPTIONS, 1 << 6);
        // Interrupts of the machine's, virtual ones, CPUID, INVD, HLT, INVLPGA, ports and MSRs by their maps, shutdown; all of
        // SVM's own instructions, and XSETBV.
        svm.put32(
            field::INSTRUCTIONS,
            1 | 1 << 4 | 1 << 18 | 1 << 22 | 1 << 24 | 1 << 26 | 1 << 27 | 1 << 28 | 1 << 31,
        );
        svm.put(field::INTERRUPT, OWN_FLAG);
        svm.put32(field::INSTRUCTIONS2, 0x7f | 1 << 13);
        svm.put(field::IO_MAP, maps::ports());
        svm.put(field::MSR_MAP, maps::registers());
        maps::keep_own();
        for port in timer::PORTS {
            svm.keep_port(port, true);
        }
        // Address space 1, all of its old translations forgotten.
        svm.put(field::ASID, 1 | 1 << 32);
        if nested {
            svm.put(field::NESTED, 1);
            svm.put(field::NESTED_CR3, maps::map_guest());
        }
        // ES, CS, SS, DS, FS, GS: flat. Attributes are a descriptor's bits 55:52 and 47:40.
        for (at, selector, attributes) in [
            (0x400, 0x18_u64, 0xc93_u64),
            (0x410, 0x10, 0xc9b),
            (0x420, 0x18, 0xc93),
            (0x430, 0x18, 0xc93),
            (0x440, 0x18, 0xc93),
            (0x450, 0x18, 0xc93),
        ] {
            svm.put(at, selector | attributes << 16 | 0xffff_ffff << 32);
        }
        svm.put(field::EFER, SVME);
        svm.put(field::CR0, 0x31);
        svm.put(field::DR6, 0xffff_0ff0);
        svm.put(field::DR7, 0x400);
        svm.put(field::PAT, 0x0007_0406_0007_0406);
        svm.put(field::RFLAGS, 2);
        svm.put(field::RIP, entry);
        svm
    }

    fn get(&self, field: usize) -> u64 {
        // SAFETY: the block is this module's, the guest does not run now, and the processor wrote it before the exit.
        unsafe { (*GUEST.0.get())[field / 8] }
    }

    fn put(&mut self, field: usize, value: u64) {
        // SAFETY: as in `get`.
        unsafe { (*GUEST.0.get())[field / 8] = value };
    }

    /// EFER, which has a bit of the hypervisor's: the guest sees 0 there, and may not set it.
    fn efer_access(&mut self, registers: &mut Registers) -> Exit {
        let efer = self.get(field::EFER);
        if self.get(field::EXIT_INFO1) & 1 == 0 {
            let seen = efer & !SVME;
            registers.rax = seen & 0xffff_ffff;
            registers.rdx = seen >> 32;
        } else {
            let wanted = registers.rax & 0xffff_ffff | registers.rdx << 32;
            let changes_mode = (wanted ^ efer) & (1 << 8) != 0;
            if wanted & !EFER_OF_GUEST != 0 || changes_mode && self.get(field::CR0) >> 31 & 1 != 0 {
                return Exit::Register;
            }
            // LMA is the processor's: a guest writes what it read.
            self.put(field::EFER, wanted & !LMA | efer & LMA | SVME);
        }
        self.skip(2);
        Exit::Nothing
    }

    /// Whether an interrupt with a vector was not taken yet.
    fn interrupt_waits(&self) -> bool {
        let interrupt = self.get(field::INTERRUPT);
        interrupt & PENDING != 0 && interrupt >> 32 & 0xff != 0
    }

    /// Sets what is pending. The guest's task priority stays.
    fn virtual_interrupt(&mut self, pending: u64) {
        let priority = self.get(field::INTERRUPT) & TASK_PRIORITY;
        self.put(field::INTERRUPT, OWN_FLAG | priority | pending);
    }

    /// Has one of the first instructions and events end the guest's run, or not.
    fn intercept(&mut self, bit: u32, wanted: bool) {
        let rest = (self.get(field::INSTRUCTIONS & !7) >> 32) as u32 & !(1 << bit);
        self.put32(field::INSTRUCTIONS, rest | u32::from(wanted) << bit);
    }

    fn port_access(&self) -> PortAccess {
        let what = self.get(field::EXIT_INFO1);
        PortAccess {
            input: what & 1 != 0,
            string: what & 4 != 0,
            size: (what >> 4) as u8 & 7,
            port: (what >> 16) as u16,
            length: self
                .get(field::EXIT_INFO2)
                .wrapping_sub(self.get(field::RIP)),
        }
    }

    fn put32(&mut self, field: usize, value: u32) {
        let shift = (field % 8) * 8;
        let word = self.get(field) & !(0xffff_ffff << shift);
        self.put(field, word | u64::from(value) << shift);
    }
}

impl VirtualCpu for Svm {
    fn name(&self) -> &'static str {
        if self.nested {
            "SVM with nested paging"
        } else {
            "SVM without nested paging"
        }
    }

    fn protects_memory(&self) -> bool {
        self.nested
    }

    fn run(&mut self, registers: &mut Registers) -> Exit {
        self.put(field::RAX, registers.rax);
        // SAFETY: the block holds a state that the processor accepts, or it says so by its exit; `registers` is borrowed;
        // the guest cannot reach the hypervisor's memory where there is nested paging, and is trusted where there is not.
        unsafe { svm_run(GUEST.address(), registers, HOST.address()) };
        registers.rax = self.get(field::RAX);
        self.put(field::EVENT, 0);
        self.put(field::ASID, 1);
        // An exit in the middle of an interrupt or exception of the guest's, which would be lost.
        if self.get(field::EXIT_EVENT) >> 31 & 1 != 0 {
            return Exit::Other(self.get(field::EXIT_CODE));
        }
        match self.get(field::EXIT_CODE) {
            0x14 => Exit::Cr4,
            0x46 => Exit::InvalidOpcode,
            0x60 => Exit::Interrupt,
            0x64 => Exit::Window,
            0x72 => Exit::Cpuid,
            0x78 => Exit::Halt,
            0x76 => Exit::Invalidate,
            0x7a | 0x80..=0x86 | 0x8d => Exit::Forbidden,
            0x7b => Exit::Port(self.port_access()),
            0x7c if registers.rcx as u32 == EFER => self.efer_access(registers),
            0x7c => Exit::Register,
            0x7f => Exit::Died,
            0x400 => Exit::Memory(self.get(field::EXIT_INFO2)),
            other => Exit::Other(other),
        }
    }

    fn place(&self) -> Place {
        Place {
            rip: self.get(field::RIP),
            rsp: self.get(field::RSP),
            rflags: self.get(field::RFLAGS),
        }
    }

    fn set_place(&mut self, place: Place) {
        self.put(field::RIP, place.rip);
        self.put(field::RSP, place.rsp);
        self.put(field::RFLAGS, place.rflags);
        // Behind the instruction after STI interrupts come in.
        self.put(field::SHADOW, self.get(field::SHADOW) & !1);
    }

    fn privilege(&self) -> u8 {
        (self.get(field::PRIVILEGE) >> 24) as u8 & 3
    }

    fn paging(&self) -> Paging {
        Paging {
            cr0: self.get(field::CR0),
            cr3: self.get(field::CR3),
            efer: self.get(field::EFER),
        }
    }

    fn set_cr4(&mut self, value: u64) {
        self.put(field::CR4, value);
        // Translations that it may have changed are forgotten.
        self.put(field::ASID, 1 | 1 << 32);
    }

    fn raise(&mut self, vector: u8, error: Option<u32>) {
        let code = error.map_or(0, |error| 1 << 11 | u64::from(error) << 32);
        self.put(field::EVENT, u64::from(vector) | 3 << 8 | 1 << 31 | code);
    }

    fn open(&self) -> bool {
        self.get(field::RFLAGS) & 0x200 != 0
            && self.get(field::SHADOW) & 1 == 0
            && self.get(field::EVENT) >> 31 & 1 == 0
            && !self.interrupt_waits()
    }

    /// As a virtual interrupt, which the guest takes first of all. An injected event would do as well; QEMU 7.2 delivers one
    /// twice when its own loop ends at that moment (`helper_vmrun` leaves the number in `exception_index`).
    fn interrupt(&mut self, vector: u8) {
        self.virtual_interrupt(PENDING | u64::from(vector) << 32);
        self.intercept(VIRTUAL_INTERRUPT, false);
    }

    fn want_window(&mut self, wanted: bool) {
        if !self.interrupt_waits() {
            // A pending virtual interrupt whose delivery is intercepted.
            let pending = if wanted { PENDING } else { 0 };
            self.virtual_interrupt(pending);
            self.intercept(VIRTUAL_INTERRUPT, true);
        }
    }

    fn take_interrupts(&mut self) {
        // SAFETY: handlers are installed, on a stack of their own, and preserve every register.
        unsafe { asm!("stgi", "sti", "nop", "cli", "clgi") };
    }

    fn keep_port(&mut self, port: u16, kept: bool) {
        maps::keep_port(port, kept);
    }

    fn idle(&mut self) {
        // SAFETY: as above. The instruction behind STI runs before an interrupt does, so none comes too early for HLT.
        unsafe { asm!("stgi", "sti", "hlt", "cli", "clgi") };
    }
}
