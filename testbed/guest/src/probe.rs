//! VMCALL, or CPUID, with chosen values in every register, and what they are afterwards.

use core::arch::{asm, global_asm};

use hypercall_core::acrn::TeeRequest;

/// Makes a call while eleven values are in registers, those that a world switch changes among them, and says whether they are
/// what they were. A call whose asm does not name what it changes loses some: the compiler leaves the values where they are.
#[inline(always)]
pub fn across<R>(call: impl FnOnce() -> R) -> (R, bool) {
    let chosen: [u64; 11] =
        core::array::from_fn(|at| 0x1357_9bdf_2468_ace0_u64.rotate_left(at as u32 * 5));
    let [
        mut a,
        mut b,
        mut c,
        mut d,
        mut e,
        mut f,
        mut g,
        mut h,
        mut i,
        mut j,
        mut k,
    ] = core::hint::black_box(chosen);
    // SAFETY: no instruction. The operands put the values where a switch of the worlds would change them, and hide from the
    // compiler that they are still the same.
    unsafe {
        asm!(
            "/* {k} */",
            inout("rcx") a, inout("rdx") b, inout("rsi") c, inout("r9") d, inout("r10") e, inout("r11") f,
            inout("r12") g, inout("r13") h, inout("r14") i, inout("r15") j, k = inout(reg) k,
            options(nomem, nostack, preserves_flags),
        );
    }
    let result = call();
    // SAFETY: as above; the values are wanted in the same registers, so that nothing moves them in between.
    unsafe {
        asm!(
            "/* {k} */",
            inout("rcx") a, inout("rdx") b, inout("rsi") c, inout("r9") d, inout("r10") e, inout("r11") f,
            inout("r12") g, inout("r13") h, inout("r14") i, inout("r15") j, k = inout(reg) k,
            options(nomem, nostack, preserves_flags),
        );
    }
    (result, [a, b, c, d, e, f, g, h, i, j, k] == chosen)
}

/// Registers before and after.
#[repr(C, align(16))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// RAX, RBX, RCX, RDX, RSI, RDI, RBP, R8 to R15.
    pub before: [u64; 15],
    pub flags_before: u64,
    pub after: [u64; 15],
    pub flags_after: u64,
    pub xmm_before: [[u64; 2]; 16],
    pub xmm_after: [[u64; 2]; 16],
    pub mxcsr_before: u32,
    pub mxcsr_after: u32,
}

impl Probe {
    /// A different value in each register. RAX is the result; R8, RDI and RSI are the call's.
    pub fn new(number: u64, rdi: u64, rsi: u64) -> Self {
        let value = |at: u64| (0xa5a5_0000_1111_2222 + at).rotate_left(at as u32 * 3);
        let mut before = [0; 15];
        before
            .iter_mut()
            .zip(1..)
            .for_each(|(place, at)| *place = value(at));
        before[4] = rsi;
        before[5] = rdi;
        before[7] = number;
        let mut xmm_before = [[0; 2]; 16];
        xmm_before
            .iter_mut()
            .zip(20..)
            .for_each(|(place, at)| *place = [value(at), value(at + 40)]);
        Self {
            before,
            // Carry, parity, adjust, zero, sign, direction clear, overflow.
            flags_before: 0x8d7,
            after: [0; 15],
            flags_after: 0,
            xmm_before,
            xmm_after: [[0; 2]; 16],
            // Rounding towards zero, all exceptions masked.
            mxcsr_before: 0x7f80,
            mxcsr_after: 0,
        }
    }

    /// Executes VMCALL.
    pub fn run(&mut self) -> i64 {
        // SAFETY: the function changes what its calling convention lets it change, and writes only this struct and what
        // the hypercall writes, which callers choose to be nothing or memory of theirs.
        unsafe { probe_vmcall(self) };
        self.after[0].cast_signed()
    }

    /// RAX, RCX, RDX, RBX, RSI, RDI before: what a rich VM hands to its trusted one.
    pub fn request(&self) -> TeeRequest {
        let [rax, rbx, rcx, rdx, rsi, rdi, ..] = self.before;
        TeeRequest {
            rax,
            rcx,
            rdx,
            rbx,
            rsi,
            rdi,
        }
    }

    /// Executes CPUID.
    pub fn run_cpuid(&mut self) {
        // SAFETY: as in `run`; the instruction writes no memory.
        unsafe { probe_cpuid(self) };
    }

    /// Whether these are the registers afterwards, and everything else is as before.
    pub fn became(&self, registers: TeeRequest) -> bool {
        let TeeRequest {
            rax,
            rcx,
            rdx,
            rbx,
            rsi,
            rdi,
        } = registers;
        let mut expected = self.clone();
        expected.before[1..6].copy_from_slice(&[rbx, rcx, rdx, rsi, rdi]);
        self.after[0] == rax && expected.intact()
    }

    /// Whether everything but RAX is as before.
    pub fn intact(&self) -> bool {
        self.before[1..] == self.after[1..]
            && self.flags_before == self.flags_after
            && self.xmm_before == self.xmm_after
            && self.mxcsr_before == self.mxcsr_after & !0x3f
    }
}

unsafe extern "sysv64" {
    fn probe_vmcall(probe: *mut Probe);
    fn probe_cpuid(probe: *mut Probe);
}

global_asm!(
    r#"
    .text
    .macro probe instruction
probe_\instruction:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    sub rsp, 8
    stmxcsr [rsp]
    push rdi
    .set n, 0
    .irp r, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15
    movups \r, [rdi + 256 + n * 16]
    .set n, n + 1
    .endr
    ldmxcsr [rdi + 768]
    push qword ptr [rdi + 120]
    popfq
    mov rax, [rdi]
    mov rbx, [rdi + 8]
    mov rcx, [rdi + 16]
    mov rdx, [rdi + 24]
    mov rsi, [rdi + 32]
    mov rbp, [rdi + 48]
    mov r8, [rdi + 56]
    mov r9, [rdi + 64]
    mov r10, [rdi + 72]
    mov r11, [rdi + 80]
    mov r12, [rdi + 88]
    mov r13, [rdi + 96]
    mov r14, [rdi + 104]
    mov r15, [rdi + 112]
    mov rdi, [rdi + 40]
    \instruction
    push rdi
    mov rdi, [rsp + 8]
    pushfq
    pop [rdi + 248]
    mov [rdi + 128], rax
    mov [rdi + 136], rbx
    mov [rdi + 144], rcx
    mov [rdi + 152], rdx
    mov [rdi + 160], rsi
    pop [rdi + 168]
    mov [rdi + 176], rbp
    mov [rdi + 184], r8
    mov [rdi + 192], r9
    mov [rdi + 200], r10
    mov [rdi + 208], r11
    mov [rdi + 216], r12
    mov [rdi + 224], r13
    mov [rdi + 232], r14
    mov [rdi + 240], r15
    .set n, 0
    .irp r, xmm0, xmm1, xmm2, xmm3, xmm4, xmm5, xmm6, xmm7, xmm8, xmm9, xmm10, xmm11, xmm12, xmm13, xmm14, xmm15
    movups [rdi + 512 + n * 16], \r
    .set n, n + 1
    .endr
    stmxcsr [rdi + 772]
    pop rdi
    ldmxcsr [rsp]
    add rsp, 8
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    ret
    .endm
    probe vmcall
    probe cpuid
    .purgem probe
"#
);

const _: () = {
    use core::mem::offset_of;
    assert!(offset_of!(Probe, flags_before) == 120 && offset_of!(Probe, after) == 128);
    assert!(offset_of!(Probe, flags_after) == 248 && offset_of!(Probe, xmm_before) == 256);
    assert!(offset_of!(Probe, xmm_after) == 512 && offset_of!(Probe, mxcsr_before) == 768);
};
