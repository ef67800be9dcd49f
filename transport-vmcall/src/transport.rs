//! [`Vmcall`]: arguments into registers, the instruction, RAX.

use core::arch::asm;

use hypercall::acrn::HypervisorCalls as Calls;
use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::CallInfo;
use hypercall::{RAX_UNWRITTEN, SharedRef, Transport, TransportError};

use crate::asm::{vmcall_switch, vmcall0, vmcall1, vmcall2};
use crate::{Acrn, Translate};

/// The calls that start another world.
pub(crate) const START_SECURE_WORLD: u64 = Calls::INITIALIZE_TRUSTY.number;
pub(crate) const TEE_BOOT_DONE: u64 = Calls::TEE_VCPU_BOOT_DONE.number;

/// Makes hypercalls by executing VMCALL.
///
/// It is a transport: wrap it in a `Client`. Where the translator is a type without data, so is this.
#[derive(Clone, Copy, Debug)]
pub struct Vmcall<X> {
    translate: X,
}

impl<X: Translate> Vmcall<X> {
    /// A transport that executes VMCALL.
    ///
    /// # Safety
    /// From here on safe code can make every hypercall with any argument. The caller promises that this is acceptable:
    ///
    /// 1. The transport is used in ring 0 of the machine that `acrn` was detected on, and ACRN's dispatcher answers
    ///    there.
    /// 2. `translate` is right about every block. With [`Identity`](crate::Identity): all memory that arguments can
    ///    lie in, stacks included, is mapped to its own physical address.
    /// 3. **No address inside a payload names memory that Rust owns** (source addresses of memory regions, host
    ///    addresses of device memory, buffers given as [`SharedRef::Address`]). The hypervisor makes such memory appear
    ///    in another VM, writes it, or takes it away; the transport cannot see that it is an address. Whoever lets
    ///    other code choose payloads passes this promise on to that code.
    /// 4. **No argument claims more memory than there is**: the header of a shared buffer describes no more than the
    ///    pages that hold it, for as long as the hypervisor has them
    ///    ([`setup_sbuf`](hypercall::acrn::Hypervisor::setup_sbuf)); a buffer of
    ///    [`profiling_ops`](hypercall::acrn::Hypervisor::profiling_ops) is as long as its command reads and writes; the
    ///    `buf_cnt` of [`vm_intr_monitor`](hypercall::acrn::Hypervisor::vm_intr_monitor) is not 0 or 1 where counters
    ///    are read. The hypervisor believes these numbers and writes that far.
    /// 5. Calls that stop the machine or the caller are acceptable where they are reachable: pausing VM 0 never
    ///    returns.
    pub const unsafe fn new(_acrn: Acrn, translate: X) -> Self {
        Self { translate }
    }

    #[inline]
    pub(crate) fn address(
        &self,
        start: *const u8,
        length: usize,
        register: u8,
        nested: bool,
    ) -> Result<u64, TransportError> {
        // The address leaves the language here: the instruction may read and write what is behind it.
        let _ = start.expose_provenance();
        self.translate
            .translate(start, length)
            .ok_or(TransportError::Untranslatable { register, nested })
    }

    /// The address of a block that a linked block points at.
    #[inline]
    fn target(&self, target: &mut Target<'_>, register: u8) -> Result<u64, TransportError> {
        match target {
            Target::Read(bytes) => self.address(bytes.as_ptr(), bytes.len(), register, true),
            Target::ReadWrite(bytes) => {
                self.address(bytes.as_mut_ptr().cast_const(), bytes.len(), register, true)
            }
            Target::Shared(SharedRef::Address(gpa)) => Ok(gpa.0),
            // The address of no pages is nobody's, and the hypervisor would keep a page from it on.
            Target::Shared(SharedRef::Pages([])) => Err(TransportError::Unsupported(
                "there is no page in what is handed over for keeps",
            )),
            Target::Shared(SharedRef::Pages(pages)) => {
                self.address(pages.as_ptr().cast(), size_of_val(*pages), register, true)
            }
        }
    }

    /// What goes into a register; `None` for one that the call does not use.
    #[inline]
    fn register(
        &self,
        argument: &mut Arg<'_>,
        register: u8,
    ) -> Result<Option<u64>, TransportError> {
        match argument {
            Arg::None => Ok(None),
            Arg::Value(value) => Ok(Some(*value)),
            Arg::Read(bytes) => self
                .address(bytes.as_ptr(), bytes.len(), register, false)
                .map(Some),
            // A pointer for writing is taken, so that the hypervisor may write through it.
            Arg::Write(bytes) | Arg::ReadWrite(bytes) => self
                .address(
                    bytes.as_mut_ptr().cast_const(),
                    bytes.len(),
                    register,
                    false,
                )
                .map(Some),
            Arg::Linked(linked) => {
                let address = self.target(&mut linked.target, register)?;
                if !set_link(linked, address) {
                    return Err(TransportError::Unsupported(
                        "the header has no room for the address that it should hold",
                    ));
                }
                let header = &mut *linked.header;
                self.address(
                    header.as_mut_ptr().cast_const(),
                    header.len(),
                    register,
                    false,
                )
                .map(Some)
            }
        }
    }
}

/// Puts an address into a header. `false` where it does not fit.
#[inline]
fn set_link(linked: &mut Linked<'_>, address: u64) -> bool {
    let field = linked
        .offset
        .checked_add(8)
        .and_then(|end| linked.header.get_mut(linked.offset..end));
    match field {
        Some(field) => {
            field.copy_from_slice(&address.to_le_bytes());
            true
        }
        None => false,
    }
}

impl<X: Translate> Transport for Vmcall<X> {
    /// Inlined into its caller, so that a number and a shape that are known there leave nothing to decide here.
    #[inline(always)]
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let [mut first, mut second] = args;
        let rdi = self.register(&mut first, 0)?;
        let rsi = self.register(&mut second, 1)?;
        // SAFETY: `Vmcall::new`'s caller promised ring 0 under ACRN and that every call is acceptable (1, 5). The
        // addresses are of blocks that are borrowed until after the instruction, for writing where the hypervisor
        // writes, or that live for ever (`SharedRef::Pages`, atomics, which others may write); `Translate` promises that
        // they are those blocks' addresses (2). Addresses and sizes inside payloads are the promises (3, 4).
        Ok(unsafe {
            match (rdi, rsi) {
                _ if returns_with_a_message(info.number) => {
                    let message = [
                        RAX_UNWRITTEN.cast_unsigned(),
                        0,
                        0,
                        0,
                        rsi.unwrap_or(0),
                        rdi.unwrap_or(0),
                    ];
                    let [rax, ..] = vmcall_switch(info.number, message);
                    return answer_alone(info.number, rax.cast_signed());
                }
                (None, None) => vmcall0(info.number),
                (Some(rdi), None) => vmcall1(info.number, rdi),
                (rdi, Some(rsi)) => vmcall2(info.number, rdi.unwrap_or(0), rsi),
            }
        })
    }
}

/// Whether a call returns by another world's switch, with that world's message in the caller's registers.
///
/// INITIALIZE_TRUSTY comes back with the secure world's first WORLD_SWITCH, which copies RDI, RSI, RDX and RBX
/// (`copy_smc_param` in ACRN's `trusty.c`); TEE_VCPU_BOOT_DONE with the first request of the rich VM, six registers
/// (`optee.c`). A compiler that believed them preserved would go on with another world's numbers.
#[inline(always)]
const fn returns_with_a_message(number: u64) -> bool {
    matches!(number, START_SECURE_WORLD | TEE_BOOT_DONE)
}

/// The answer of such a call where it is RAX alone. A message has no room here: that it came and is lost is said.
#[inline(always)]
const fn answer_alone(number: u64, rax: i64) -> Result<i64, TransportError> {
    match (number, rax) {
        (START_SECURE_WORLD, 0) => Err(TransportError::Lost(
            "the secure world runs, and its first message came in registers that this call has no room for; make the call by `WorldSwitch::start_secure_world`",
        )),
        (TEE_BOOT_DONE, rax) if !boot_refused(rax) => Err(TransportError::Lost(
            "the first request of the rich VM came in registers that this call has no room for; make the call by `WorldSwitch::tee_boot_done`",
        )),
        (_, rax) => Ok(rax),
    }
}

/// Whether RAX of TEE_VCPU_BOOT_DONE is an answer, and not the first request's.
pub(crate) const fn boot_refused(rax: i64) -> bool {
    matches!(rax, -25 | RAX_UNWRITTEN)
}

/// The current privilege level: the low two bits of CS (Intel SDM volume 3, 5.5).
pub(crate) fn current_privilege() -> u8 {
    let cs: u16;
    // SAFETY: reading a segment selector has no effect and is allowed in every ring. It touches neither memory nor
    // stack nor flags, and the 16-bit form leaves nothing undefined in the operand that is used.
    unsafe {
        asm!("mov {cs:x}, cs", cs = out(reg) cs, options(nomem, nostack, preserves_flags, pure));
    }
    cs.to_le_bytes()[0] & 3
}

#[cfg(test)]
mod tests;
