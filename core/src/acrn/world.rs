//! The calls that hand the processor to another world and come back with its message: two that switch, and the two that start
//! the other world.
//!
//! They do not fit the two arguments and one result of the other calls: the message is four to six registers, each
//! way for those that switch. So they are a trait of their own, which only a transport with its own instruction sequence can
//! implement. They are made by the VM that has the other world beside it, at ring 0.
//!
//! The two that start a world are in the interface as well, so that a trace, a fake or a server has them among its calls. There
//! they have RAX for an answer and no more: over a transport whose other world really answers they get
//! [`TransportError::Lost`](crate::TransportError::Lost), and are to be made here.
//!
//! Between the call and its return the other world runs, for as long as it likes.

use thiserror::Error as ThisError;

use super::trusty::{TeeBoot, TrustyBootParam};
use crate::Error;

/// The number of the switch between the two worlds of one VM.
#[doc(alias = "HC_WORLD_SWITCH")]
pub const WORLD_SWITCH: u64 = 0x8000_0071;
/// The number of the switch between a rich VM and its trusted VM.
#[doc(alias = "HC_SWITCH_EE")]
pub const SWITCH_EE: u64 = 0x8000_0091;

/// Four registers, handed to the other world and taken from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' names say it")]
pub struct WorldMessage {
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rbx: u64,
}

/// What the rich VM hands to the trusted one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' names say it")]
pub struct TeeRequest {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rsi: u64,
    pub rdi: u64,
}

impl TeeRequest {
    /// [`rdi`](Self::rdi) when nobody asked: a secure interrupt came while the rich VM ran. The other registers are
    /// old.
    #[doc(alias = "OPTEE_FIQ_ENTRY")]
    pub const INTERRUPT_ENTRY: u64 = 0xb200_00ff;

    /// Whether this is an interrupt and no request.
    #[must_use]
    pub const fn is_interrupt(&self) -> bool {
        self.rdi == Self::INTERRUPT_ENTRY
    }
}

/// What the trusted VM hands back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' names say it")]
pub struct TeeReply {
    pub rdi: u64,
    pub rsi: u64,
    pub rdx: u64,
    pub rbx: u64,
}

impl TeeReply {
    /// [`rdi`](Self::rdi) of a reply that ends an interrupt: the rich VM's registers are then left alone.
    #[doc(alias = "OPTEE_RETURN_FIQ_DONE")]
    pub const INTERRUPT_DONE: u64 = 0xbe00_0006;

    /// The reply that ends an interrupt.
    #[must_use]
    pub const fn interrupt_done() -> Self {
        Self {
            rdi: Self::INTERRUPT_DONE,
            rsi: 0,
            rdx: 0,
            rbx: 0,
        }
    }
}

/// The hypervisor did not switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
#[error("the hypervisor did not switch worlds: RAX is {rax}")]
pub struct SwitchRefused {
    /// RAX as it came: -1, -22 or -25 in ACRN, or [`RAX_UNWRITTEN`](crate::RAX_UNWRITTEN) where it wrote none.
    pub rax: i64,
}

/// Hands the processor to the other world.
pub trait WorldSwitch {
    /// Starts the secure world of this VM, as [`initialize_trusty`](super::Hypervisor::initialize_trusty) does, and returns when
    /// that world [switches back](Self::switch_world): with the message of its first switch.
    ///
    /// Source: `hcall_initialize_trusty`, `initialize_trusty`; what comes back is what `switch_world` copies: RDI, RSI, RDX and
    /// RBX. RAX is 0 then, the answer to that world's switch.
    ///
    /// # Errors
    /// Those of `initialize_trusty`, and [`Nonsense`](crate::ErrorKind::Nonsense) where RAX is neither 0 nor a code: the world may
    /// have run then. `Ok` says that RAX was 0, which is what ACRN's world switch leaves there. A hypervisor that answers 0 and
    /// does not switch cannot be told from it: the registers are then the caller's own. An implementation without a
    /// processor for another world, such as a fake's, says [`Lost`](crate::TransportError::Lost) where the call was accepted.
    #[doc(alias = "HC_INITIALIZE_TRUSTY")]
    #[doc(alias = "hcall_initialize_trusty")]
    fn start_secure_world(&self, param: &TrustyBootParam) -> Result<WorldMessage, Error>;

    /// Says that a vCPU of the trusted VM has booted, as [`tee_vcpu_boot_done`](super::Hypervisor::tee_vcpu_boot_done) does,
    /// sleeps, and returns the first request, or [an interrupt](TeeRequest::is_interrupt).
    ///
    /// # Errors
    /// -25: this VM is no trusted VM. A request's RAX stands where the error would: one of -25, or
    /// [`RAX_UNWRITTEN`](crate::RAX_UNWRITTEN), cannot be told from it.
    #[doc(alias = "HC_TEE_VCPU_BOOT_DONE")]
    #[doc(alias = "hcall_handle_tee_vcpu_boot_done")]
    fn tee_boot_done(&self, start: TeeBoot) -> Result<TeeRequest, Error>;

    /// Switches between the normal and the secure world of this VM and returns when the other one switches back.
    ///
    /// RDI, RSI, RDX and RBX go to the other world and come from it (`switch_world`); RAX is 0.
    ///
    /// # Errors
    /// -1 when the VM has no secure world, or [`start_secure_world`](Self::start_secure_world) did not start it; -25 when this VM may not make the call.
    #[doc(alias = "HC_WORLD_SWITCH")]
    #[doc(alias = "hcall_world_switch")]
    fn switch_world(&self, message: WorldMessage) -> Result<WorldMessage, SwitchRefused>;

    /// From the rich VM: wakes the trusted VM on this processor with a request, and returns its reply.
    ///
    /// # Errors
    /// -22 when the trusted VM has no vCPU on this processor (`ree_switch_to_tee`); -25 when this VM may not make the
    /// call.
    ///
    /// # Traps
    /// RAX is part of the message and holds the answer, so nothing else can be in it before: under a hypervisor that does not
    /// write RAX (ACRN 3.3, where its result is -13 or -19) a request whose RAX is 0 would be read as served, with its own
    /// registers for the reply.
    #[doc(alias = "HC_SWITCH_EE")]
    #[doc(alias = "hcall_switch_ee")]
    fn switch_to_tee(&self, request: TeeRequest) -> Result<TeeReply, SwitchRefused>;

    /// From the trusted VM: replies, sleeps, and returns the next request, or
    /// [an interrupt](TeeRequest::is_interrupt).
    ///
    /// # Errors
    /// -22 when the rich VM has no vCPU on this processor (`tee_switch_to_ree`); -25 when this VM may not make the
    /// call. A request's RAX stands where the error would: one of -22 or -25, or
    /// [`RAX_UNWRITTEN`](crate::RAX_UNWRITTEN), cannot be told from it.
    #[doc(alias = "HC_SWITCH_EE")]
    #[doc(alias = "hcall_switch_ee")]
    fn switch_to_ree(&self, reply: TeeReply) -> Result<TeeRequest, SwitchRefused>;
}
