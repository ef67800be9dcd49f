//! How the guest tells the test hypervisor to misbehave, or to be something else.
//!
//! By CPUID, which faults nowhere and means nothing to others: leaf [`LEAF`] with a command in ECX's high half and its
//! argument in the low half. The answer to every command is [`SIGNATURE`] in EBX, ECX, EDX, and in EAX what the command
//! says.

use crate::cpu::cpuid;

/// The leaf.
pub const LEAF: u32 = 0x4843_0000;
/// EBX, ECX, EDX of every answer.
pub const SIGNATURE: [u32; 3] = [
    u32::from_le_bytes(*b"hype"),
    u32::from_le_bytes(*b"rcal"),
    u32::from_le_bytes(*b"lbed"),
];

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Command {
    /// What is it: bit 0 of EAX says that the guest's memory is translated, bit 1 that VMCALL exits by itself.
    About = 0,
    /// Which hypervisor it shows: a [`Shown`].
    Show = 1,
    /// How it answers: an [`Answer`].
    Answer = 2,
    /// The machine as it was at boot, and which of its VMs the guest is: a [`Role`].
    Reset = 3,
    /// How often the upcall was raised, the low 32 bits.
    Upcalls = 4,
    /// When a User VM makes its next access: a [`Pace`].
    Pace = 5,
    /// The page where the rich VM of [`Role::TrustedVm`] starts; its stack ends 16 pages above.
    RichVm = 6,
    /// From the rich VM: an interrupt for the trusted one comes.
    SecureInterrupt = 7,
    /// Interrupts of the hypervisor's timer so far, the low 32 bits.
    Ticks = 8,
    /// The id that CREATE_VM gives under [`Answer::WrongVm`].
    WrongVm = 9,
}

/// When a User VM makes its next access to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Pace {
    /// After an interrupt of the timer, when the guest can take an upcall: what the guest sees then depends on nothing but
    /// what it does.
    Open = 0,
    /// At the interrupt of the timer, whatever the guest does.
    Tick = 1,
}

/// Which VM the guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Role {
    /// The Service VM.
    ServiceVm = 0,
    /// A User VM with a secure world.
    SecureVm = 1,
    /// A User VM that may make no hypercalls.
    PlainVm = 2,
    /// A trusted VM, which starts the rich VM beside it.
    TrustedVm = 3,
}

/// What the hypervisor presents in CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Shown {
    /// ACRN.
    Acrn = 0,
    /// KVM's signature.
    Kvm = 1,
    /// No hypervisor.
    None = 2,
    /// Hyper-V's signature first, ACRN's behind it.
    Second = 3,
}

/// How the hypervisor answers a hypercall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Answer {
    /// As ACRN does.
    Honest = 0,
    /// 0 at once, without looking: to measure the way there and back. CREATE_VM and VM_GPA2HPA get a result, the same for every
    /// call.
    Nothing = 1,
    /// A RAX that is neither success nor an error code.
    Garbage = 2,
    /// -1, not sign-extended.
    ShortCode = 3,
    /// 0, and no memory is written.
    Unwritten = 4,
    /// 0, and 64 bytes beyond each block, or beyond what it points at, are overwritten.
    Beyond = 5,
    /// 0, and the VM of CREATE_VM is the one of [`Command::WrongVm`].
    WrongVm = 6,
    /// An error code, after memory was written.
    RefusedButWritten = 7,
    /// 0, and all bytes of each block that the call may write are ones.
    Ones = 8,
    /// RAX stays what it was.
    RaxUnwritten = 9,
    /// 0, and each block that the call may write is full of a byte that means nothing.
    Noise = 10,
}

impl Answer {
    /// All, by their numbers.
    pub const ALL: [Self; 11] = [
        Self::Honest,
        Self::Nothing,
        Self::Garbage,
        Self::ShortCode,
        Self::Unwritten,
        Self::Beyond,
        Self::WrongVm,
        Self::RefusedButWritten,
        Self::Ones,
        Self::RaxUnwritten,
        Self::Noise,
    ];
}

/// Gives a command. `None` where there is no test hypervisor.
pub fn command(command: Command, argument: u16) -> Option<u32> {
    let [eax, rest @ ..] = cpuid(LEAF, (command as u32) << 16 | u32::from(argument));
    (rest == SIGNATURE).then_some(eax)
}
