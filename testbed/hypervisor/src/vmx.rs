//! Intel's way: VMX, where VMCALL exits by itself.
//!
//! Field numbers are those of the Intel SDM, volume 3, appendix B; controls those of chapter 25.

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::fmt;

use bare::cpu::{cpuid, msr, set_msr};
use bare::{CODE, DATA, TASK, line};
use virt::controls::{Control, Missing, choose};
use virt::cr4;

use crate::cpu::{Exit, Paging, Place, PortAccess, Registers, VirtualCpu};
use crate::{guest_memory, timer};

const FEATURE_CONTROL: u32 = 0x3a;
const BASIC: u32 = 0x480;
const EFER: u32 = 0xc000_0080;
const VMXE: u64 = 1 << 13;

/// A page that the processor uses by its physical address.
#[repr(C, align(4096))]
struct Page(UnsafeCell<[u64; 512]>);
// SAFETY: there is one processor, and one `Vmx`, which alone uses the pages.
unsafe impl Sync for Page {}

impl Page {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; 512]))
    }
    /// Physical as well: memory is mapped to itself.
    fn address(&self) -> u64 {
        self.0.get().expose_provenance() as u64
    }
}

static ON: Page = Page::new();
static GUEST: Page = Page::new();
static MSR_MAP: Page = Page::new();
static IO_MAP: [Page; 2] = [const { Page::new() }; 2];
static NESTED: [Page; 4] = [const { Page::new() }; 4];

mod field {
    pub const PIN: u64 = 0x4000;
    pub const PROCESSOR: u64 = 0x4002;
    pub const EXIT: u64 = 0x400c;
    pub const ENTRY: u64 = 0x4012;
    pub const EVENT: u64 = 0x4016;
    pub const EVENT_ERROR: u64 = 0x4018;
    pub const SECONDARY: u64 = 0x401e;
    pub const IO_MAP: u64 = 0x2000;
    pub const IO_MAP2: u64 = 0x2002;
    pub const MSR_MAP: u64 = 0x2004;
    pub const NESTED: u64 = 0x201a;
    pub const GUEST_PHYSICAL: u64 = 0x2400;
    pub const LINK: u64 = 0x2800;
    pub const EFER: u64 = 0x2806;
    pub const HOST_EFER: u64 = 0x2c02;
    pub const ERROR: u64 = 0x4400;
    pub const REASON: u64 = 0x4402;
    pub const EXIT_EVENT: u64 = 0x4408;
    pub const LENGTH: u64 = 0x440c;
    pub const SS_RIGHTS: u64 = 0x4818;
    pub const SHADOW: u64 = 0x4824;
    pub const PREEMPTION: u64 = 0x482e;
    pub const CR4_MASK: u64 = 0x6002;
    pub const QUALIFICATION: u64 = 0x6400;
    pub const CR0: u64 = 0x6800;
    pub const CR3: u64 = 0x6802;
    pub const CR4: u64 = 0x6804;
    pub const DR7: u64 = 0x681a;
    pub const RSP: u64 = 0x681c;
    pub const RIP: u64 = 0x681e;
    pub const RFLAGS: u64 = 0x6820;
}

/// Interrupts of the machine's end the guest's run; so does a timer of VMX's own.
const INTERRUPTS: Control = (1, "external-interrupt exiting");
const PREEMPTION: u64 = 1 << 6;
/// How long the guest runs at most, in ticks of the time-stamp counter. Bochs forgets at an entry that interrupts are no longer
/// held back, until the guest's flag changes: they are taken at every exit, and wait this long at most.
const RUN: u64 = 1 << 18;
const MISC: u32 = 0x485;
/// HLT, the interrupt window, maps of ports and of MSRs, the second set of controls.
const HLT: Control = (1 << 7, "HLT exiting");
const WINDOW: u64 = 1 << 2;
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
const GUEST64: u64 = 1 << 9;
const ENTRY_EFER: Control = (1 << 15, "load IA32_EFER");

unsafe extern "sysv64" {
    /// Enters the guest and comes back at its exit. 1 where the processor refuses to enter.
    fn vmx_run(registers: *mut Registers, launched: u64) -> u64;
}

global_asm!(
    r#"
    .text
    .globl vmx_run
vmx_run:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    push rdi
    sub rsp, 16
    stmxcsr [rsp]
    fnstcw [rsp + 4]

    mov eax, 0x6c14
    vmwrite rax, rsp
    lea rcx, [rip + 3f]
    mov eax, 0x6c16
    vmwrite rax, rcx

    fxrstor64 [rdi]
    test rsi, rsi
    mov rax, [rdi + 512]
    mov rbx, [rdi + 520]
    mov rcx, [rdi + 528]
    mov rdx, [rdi + 536]
    mov rsi, [rdi + 544]
    mov rbp, [rdi + 560]
    mov r8, [rdi + 568]
    mov r9, [rdi + 576]
    mov r10, [rdi + 584]
    mov r11, [rdi + 592]
    mov r12, [rdi + 600]
    mov r13, [rdi + 608]
    mov r14, [rdi + 616]
    mov r15, [rdi + 624]
    mov rdi, [rdi + 552]
    jz 2f
    vmresume
    jmp 4f
2:  vmlaunch
    jmp 4f

3:  push rax
    mov rax, [rsp + 24]
    pop qword ptr [rax + 512]
    mov [rax + 520], rbx
    mov [rax + 528], rcx
    mov [rax + 536], rdx
    mov [rax + 544], rsi
    mov [rax + 552], rdi
    mov [rax + 560], rbp
    mov [rax + 568], r8
    mov [rax + 576], r9
    mov [rax + 584], r10
    mov [rax + 592], r11
    mov [rax + 600], r12
    mov [rax + 608], r13
    mov [rax + 616], r14
    mov [rax + 624], r15
    fxsave64 [rax]
    xor eax, eax
    jmp 5f
4:  mov eax, 1
5:  fninit
    fldcw [rsp + 4]
    ldmxcsr [rsp]
    add rsp, 24
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
"#
);

/// Whether the processor has VMX.
pub fn present() -> bool {
    cpuid(1, 0)[2] & (1 << 5) != 0
}

/// The one virtual processor.
#[derive(Debug)]
pub struct Vmx {
    launched: bool,
}

fn read(field: u64) -> u64 {
    let value: u64;
    // SAFETY: a control structure is loaded (`Vmx::new`); reading a field has no effect.
    unsafe { asm!("vmread {}, {}", out(reg) value, in(reg) field, options(nostack)) };
    value
}

fn write(field: u64, value: u64) {
    // SAFETY: a control structure is loaded; what is wrong in it the processor says at the next entry.
    unsafe { asm!("vmwrite {}, {}", in(reg) field, in(reg) value, options(nostack)) };
}

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
        let entry_set = register(0x484, 0x490);
        let guest = [(GUEST64, "IA-32e mode guest")];
        let entry_set = controls("VM-entry", entry_set, &[ENTRY_EFER], &guest, 0)?;
        write(field::PIN, pin);
        if pin & PREEMPTION != 0 {
            // SAFETY: the register exists where VMX does. It says how much slower than the counter this timer is.
            write(field::PREEMPTION, RUN >> (unsafe { msr(MISC) } & 31));
        }
        write(field::PROCESSOR, processor);
        write(field::SECONDARY, second);
        write(field::EXIT, exit);
        write(field::ENTRY, entry_set);
        // Everything of the maps and masks that is not named is 0: exceptions are the guest's own.
        for unused in [
            0x4004, 0x4006, 0x4008, 0x400a, 0x400e, 0x4010, 0x4014, 0x4016, 0x6000, 0x6004, 0x6006,
        ] {
            write(unused, 0);
        }
        write(field::MSR_MAP, MSR_MAP.address());
        write(field::IO_MAP, IO_MAP[0].address());
        write(field::IO_MAP2, IO_MAP[1].address());
        keep_own();
        // The guest sees VMXE as 0 and may leave it there; the processor wants it set. The others stay 0.
        write(field::CR4_MASK, cr4::HIDDEN);
        map_guest();
        // Write-back, four levels.
        write(field::NESTED, NESTED[0].address() | 6 | 3 << 3);
        guest_state(entry);
        host_state();
        let mut vmx = Self { launched: false };
        for port in timer::PORTS {
            vmx.keep_port(port, true);
        }
        Ok(vmx)
    }
}

/// Marks the registers that are the hypervisor's: where the local APIC is may be read, what VMX can do may not; no
/// other registers of the map's two ranges are kept.
fn keep_own() {
    const READS: usize = 0;
    const WRITES: usize = 0x800 / 8;
    let own = [FEATURE_CONTROL].into_iter().chain(BASIC..BASIC + 0x14);
    // SAFETY: the map is this module's, and the guest does not run yet.
    unsafe {
        let registers = &mut *MSR_MAP.0.get();
        registers[WRITES] |= 1 << 0x1b;
        for register in own {
            for part in [READS, WRITES] {
                registers[part + register as usize / 64] |= 1 << (register % 64);
            }
        }
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

/// The guest's memory and its local APIC, mapped to themselves by pages of 2 MiB. Everything else is not there.
fn map_guest() {
    let tables = [1, 2, 3].map(|table: usize| NESTED[table].address() | 7);
    // SAFETY: the tables are this module's, and the guest does not run yet.
    unsafe {
        (*NESTED[0].0.get())[0] = tables[0];
        (*NESTED[1].0.get())[0] = tables[1];
        (*NESTED[1].0.get())[3] = tables[2];
        // Read, write, not cached, a large page.
        (*NESTED[3].0.get())[guest_memory::APIC_ENTRY] = guest_memory::APIC | 0x83;
        let pages = (0..guest_memory::SIZE).step_by(2 << 20);
        for (entry, address) in (*NESTED[2].0.get()).iter_mut().zip(pages) {
            // Read, write, execute, write-back, a large page.
            *entry = address | 0xb7;
        }
    }
}

fn guest_state(entry: u64) {
    // ES, CS, SS, DS, FS, GS: flat. Then the local descriptor table, which is not there, and a task that is.
    let rights = [
        0xc093, 0xc09b, 0xc093, 0xc093, 0xc093, 0xc093, 0x1_0000, 0x8b,
    ];
    let selectors = [0x18, 0x10, 0x18, 0x18, 0x18, 0x18, 0, 0];
    for (number, (rights, selector)) in (0..).zip(rights.into_iter().zip(selectors)) {
        write(0x800 + number * 2, selector);
        write(
            0x4800 + number * 2,
            if number < 6 { 0xffff_ffff } else { 0xffff },
        );
        write(0x4814 + number * 2, rights);
        write(0x6806 + number * 2, 0);
    }
    // Limits and bases of the descriptor tables; activity, system management, SYSENTER, pending debug exceptions.
    for (at, value) in [(0x4810, 0xffff), (0x4812, 0xffff), (0x6816, 0), (0x6818, 0)] {
        write(at, value);
    }
    for unused in [
        field::SHADOW,
        0x4826,
        0x4828,
        0x482a,
        0x6822,
        0x6824,
        0x6826,
        0x2802,
        field::CR3,
        field::RSP,
    ] {
        write(unused, 0);
    }
    write(field::LINK, u64::MAX);
    // SAFETY: the register exists where VMX does.
    let fixed = unsafe { msr(0x486) };
    // PE, NE and ET; what VMX fixes besides paging.
    write(field::CR0, (fixed & !(1 << 31)) | 0x31);
    write(field::CR4, VMXE);
    write(field::EFER, 0);
    write(field::DR7, 0x400);
    write(field::RFLAGS, 2);
    write(field::RIP, entry);
}

fn host_state() {
    let (cr0, cr3, cr4): (u64, u64, u64);
    let mut global = [0_u8; 10];
    let mut interrupts = [0_u8; 10];
    // SAFETY: reading registers has no effect; the two stores go to arrays of the size that they store.
    unsafe {
        asm!(
            "mov {cr0}, cr0",
            "mov {cr3}, cr3",
            "mov {cr4}, cr4",
            "sgdt [{global}]",
            "sidt [{interrupts}]",
            cr0 = out(reg) cr0,
            cr3 = out(reg) cr3,
            cr4 = out(reg) cr4,
            global = in(reg) &raw mut global,
            interrupts = in(reg) &raw mut interrupts,
            options(nostack),
        );
    }
    let base = |register: [u8; 10]| {
        register
            .last_chunk::<8>()
            .copied()
            .map_or(0, u64::from_le_bytes)
    };
    let table = base(global);
    // SAFETY: the task's descriptor is two words of the table that is loaded, which stays where it is.
    let task = unsafe {
        let entry = core::ptr::with_exposed_provenance::<u64>((table + u64::from(TASK)) as usize);
        [entry.read(), entry.add(1).read()]
    };
    let task = (task[0] >> 16) & 0xff_ffff | (task[0] >> 56) << 24 | task[1] << 32;
    write(0x6c00, cr0);
    write(0x6c02, cr3);
    write(0x6c04, cr4);
    for at in [0xc00, 0xc04, 0xc06, 0xc08, 0xc0a] {
        write(at, u64::from(DATA));
    }
    write(0xc02, u64::from(CODE));
    write(0xc0c, u64::from(TASK));
    for unused in [0x4c00, 0x6c06, 0x6c08, 0x6c10, 0x6c12] {
        write(unused, 0);
    }
    write(0x6c0a, task);
    write(0x6c0c, table);
    write(0x6c0e, base(interrupts));
    // SAFETY: every processor in long mode has the register.
    write(field::HOST_EFER, unsafe { msr(EFER) });
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
        let (page, bit) = (usize::from(port >> 15), usize::from(port & 0x7fff));
        // SAFETY: the map is this module's, and the guest does not run now. A bit for each port.
        let word = unsafe { &mut (*IO_MAP[page].0.get())[bit / 64] };
        *word = *word & !(1 << (bit % 64)) | u64::from(kept) << (bit % 64);
    }

    fn idle(&mut self) {
        // SAFETY: as above. The instruction behind STI runs before an interrupt does, so none comes too early for HLT.
        unsafe { asm!("sti", "hlt", "cli") };
    }
}
