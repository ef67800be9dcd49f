//! What SVM and VMX have in common: a virtual processor that runs until it needs the hypervisor.

/// The registers that neither SVM nor VMX saves. RAX is here for both.
#[repr(C, align(16))]
#[derive(Clone, Debug)]
pub struct Registers {
    /// x87 and SSE state, as FXSAVE lays it out.
    pub fx: [u8; 512],
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

impl Registers {
    /// Zeros, and the state of FNINIT with the usual MXCSR.
    pub const fn new() -> Self {
        let mut fx = [0; 512];
        // FCW 0x037f, MXCSR 0x1f80.
        fx[0] = 0x7f;
        fx[1] = 3;
        fx[24] = 0x80;
        fx[25] = 0x1f;
        Self {
            fx,
            rax: 0,
            rbx: 0,
            rcx: 0,
            rdx: 0,
            rsi: 0,
            rdi: 0,
            rbp: 0,
            r8: 0,
            r9: 0,
            r10: 0,
            r11: 0,
            r12: 0,
            r13: 0,
            r14: 0,
            r15: 0,
        }
    }

    /// A general register by its number in instructions; `None` for RSP, which is not here.
    pub const fn general(&self, number: u8) -> Option<u64> {
        Some(match number & 15 {
            0 => self.rax,
            1 => self.rcx,
            2 => self.rdx,
            3 => self.rbx,
            4 => return None,
            5 => self.rbp,
            6 => self.rsi,
            7 => self.rdi,
            8 => self.r8,
            9 => self.r9,
            10 => self.r10,
            11 => self.r11,
            12 => self.r12,
            13 => self.r13,
            14 => self.r14,
            _ => self.r15,
        })
    }
}

/// Why the guest stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It executed VMCALL, and the processor said so.
    Vmcall,
    /// It executed an instruction that the processor does not know, which VMCALL is to an AMD processor.
    InvalidOpcode,
    /// CPUID.
    Cpuid,
    /// HLT.
    Halt,
    /// It tried to be a hypervisor itself, or to use one with another ABI, or to switch on what CPUID says is not there.
    Forbidden,
    /// It accessed a register that is the hypervisor's.
    Register,
    /// It accessed ports that are the hypervisor's.
    Port(PortAccess),
    /// It writes CR4, which has bits that the guest has not.
    Cr4,
    /// It accessed memory that is not its own.
    Memory(u64),
    /// A triple fault.
    Died,
    /// An interrupt of the machine's waits for the hypervisor.
    Interrupt,
    /// The guest can take an interrupt now.
    Window,
    /// It threw away what its caches hold, which costs nobody anything but its own.
    Invalidate,
    /// Something that was dealt with: the guest goes on.
    Nothing,
    /// Anything else, with the processor's number for it.
    Other(u64),
}

/// An access to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortAccess {
    pub port: u16,
    /// It reads.
    pub input: bool,
    /// Bytes: 1, 2 or 4.
    pub size: u8,
    /// It is an instruction for strings.
    pub string: bool,
    /// Bytes of the instruction.
    pub length: u64,
}

/// Where the guest is, as far as the two worlds of a VM differ.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    pub rip: u64,
    pub rsp: u64,
    pub rflags: u64,
}

/// A virtual processor.
pub trait VirtualCpu {
    /// What runs it, for people.
    fn name(&self) -> &'static str;
    /// Whether the guest's physical addresses are translated, so that it cannot reach the hypervisor.
    fn protects_memory(&self) -> bool;
    /// Runs the guest until it needs the hypervisor.
    fn run(&mut self, registers: &mut Registers) -> Exit;
    /// Instruction pointer, stack pointer, flags.
    fn place(&self) -> Place;
    /// Sets them.
    fn set_place(&mut self, place: Place);
    /// The current privilege level.
    fn privilege(&self) -> u8;
    /// CR0, CR3, CR4 and EFER.
    fn paging(&self) -> Paging;
    /// Sets CR4.
    fn set_cr4(&mut self, value: u64);
    /// Raises an exception at the instruction that the guest is at.
    fn raise(&mut self, vector: u8, error: Option<u32>);
    /// Whether the guest would take an interrupt now.
    fn open(&self) -> bool;
    /// Raises an interrupt in a guest that is [`open`](Self::open).
    fn interrupt(&mut self, vector: u8);
    /// Asks for [`Exit::Window`] as soon as the guest can take an interrupt, or for none.
    fn want_window(&mut self, wanted: bool);
    /// Takes the interrupts of the machine's that wait. Those that come while the hypervisor runs stay where they are.
    fn take_interrupts(&mut self);
    /// Keeps a port from the guest, or lets it have it.
    fn keep_port(&mut self, port: u16, kept: bool);
    /// Waits for an interrupt of the machine's and takes it.
    fn idle(&mut self);
    /// Goes on behind an instruction of this length.
    fn skip(&mut self, length: u64) {
        let mut place = self.place();
        place.rip = place.rip.wrapping_add(length);
        self.set_place(place);
    }
}

/// What decides how addresses are translated.
#[derive(Clone, Copy, Debug)]
pub struct Paging {
    pub cr0: u64,
    pub cr3: u64,
    pub efer: u64,
}
