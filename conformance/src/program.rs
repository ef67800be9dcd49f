//! What the User VM runs: the machine code, and the same accesses as a list, for those who play the VM.
//!
//! The code runs in flat 32-bit protected mode from the second page of the VM's memory on. A player needs no processor:
//! it makes the accesses of [`next_access`] in their order.

/// Where the VM's first vCPU starts to do nothing.
pub const IDLE_ENTRY: u32 = 0x1000;
/// Where it starts to use its devices.
pub const PROGRAM_ENTRY: u32 = 0x1010;

/// A port that only the device model knows.
pub(crate) const PORT: u16 = 0x600;
/// A port whose writes are asynchronous.
pub(crate) const QUIET_PORT: u16 = 0x700;
/// Memory of a device.
pub(crate) const DEVICE: u32 = 0x0800_0000;
/// What the VM writes first.
pub(crate) const HELLO: u8 = 0x5a;

/// The code, to be put at [`IDLE_ENTRY`].
#[rustfmt::skip]
pub const CODE: [u8; 0x30] = [
    // 1000: cli; hlt; jmp 1000
    0xfa, 0xf4, 0xeb, 0xfc, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
    // 1010: mov dx, 0x700; mov al, 1; out dx, al
    0x66, 0xba, 0x00, 0x07, 0xb0, 0x01, 0xee,
    // mov dx, 0x600; mov al, 0x5a; out dx, al; in al, dx
    0x66, 0xba, 0x00, 0x06, 0xb0, 0x5a, 0xee, 0xec,
    // inc al; mov [0x08000000], al
    0xfe, 0xc0, 0xa2, 0x00, 0x00, 0x00, 0x08,
    // hlt; jmp to the hlt
    0xf4, 0xeb, 0xfd, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90,
];

/// An access of one byte that the hypervisor cannot complete by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum Access {
    /// `out`.
    PortWrite { port: u16, value: u8 },
    /// `in`.
    PortRead { port: u16 },
    /// A store.
    MemoryWrite { address: u64, value: u8 },
}

/// The access number `made` of the program, counted from 0; `read` is what its last read gave. `None` when it is over.
#[must_use]
pub fn next_access(made: usize, read: u8) -> Option<Access> {
    match made {
        0 => Some(Access::PortWrite {
            port: QUIET_PORT,
            value: 1,
        }),
        1 => Some(Access::PortWrite {
            port: PORT,
            value: HELLO,
        }),
        2 => Some(Access::PortRead { port: PORT }),
        3 => Some(Access::MemoryWrite {
            address: u64::from(DEVICE),
            value: read.wrapping_add(1),
        }),
        _ => None,
    }
}
