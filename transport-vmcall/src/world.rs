//! The world switches: four to six registers each way.

use hypercall::RAX_UNWRITTEN;
use hypercall::acrn::{
    SWITCH_EE, SwitchRefused, TeeReply, TeeRequest, WORLD_SWITCH, WorldMessage, WorldSwitch,
};

use crate::asm::vmcall_switch;
use crate::{Translate, Vmcall};

/// RAX of a message that has none.
const UNWRITTEN: u64 = RAX_UNWRITTEN.cast_unsigned();

impl<X: Translate> WorldSwitch for Vmcall<X> {
    fn switch_world(&self, message: WorldMessage) -> Result<WorldMessage, SwitchRefused> {
        let WorldMessage { rdi, rsi, rdx, rbx } = message;
        let [rax, _, rdx, rbx, rsi, rdi] =
            self.switch(WORLD_SWITCH, [UNWRITTEN, 0, rdx, rbx, rsi, rdi]);
        match rax {
            0 => Ok(WorldMessage { rdi, rsi, rdx, rbx }),
            rax => Err(refused(rax)),
        }
    }

    fn switch_to_tee(&self, request: TeeRequest) -> Result<TeeReply, SwitchRefused> {
        let TeeRequest {
            rax,
            rcx,
            rdx,
            rbx,
            rsi,
            rdi,
        } = request;
        let [rax, _, rdx, rbx, rsi, rdi] = self.switch(SWITCH_EE, [rax, rcx, rdx, rbx, rsi, rdi]);
        match rax {
            0 => Ok(TeeReply { rdi, rsi, rdx, rbx }),
            rax => Err(refused(rax)),
        }
    }

    fn switch_to_ree(&self, reply: TeeReply) -> Result<TeeRequest, SwitchRefused> {
        let TeeReply { rdi, rsi, rdx, rbx } = reply;
        let [rax, rcx, rdx, rbx, rsi, rdi] =
            self.switch(SWITCH_EE, [UNWRITTEN, 0, rdx, rbx, rsi, rdi]);
        match rax.cast_signed() {
            // What the hypervisor answers, or leaves there, when it does not switch; see the trait for why a request with
            // this value in RAX is taken for it.
            -22 | -25 | RAX_UNWRITTEN => Err(refused(rax)),
            _ => Ok(TeeRequest {
                rax,
                rcx,
                rdx,
                rbx,
                rsi,
                rdi,
            }),
        }
    }
}

impl<X: Translate> Vmcall<X> {
    fn switch(&self, number: u64, message: [u64; 6]) -> [u64; 6] {
        // SAFETY: `Vmcall::new`'s caller promised ring 0 under ACRN, and that every call is acceptable.
        unsafe { vmcall_switch(number, message) }
    }
}

fn refused(rax: u64) -> SwitchRefused {
    SwitchRefused {
        rax: rax.cast_signed(),
    }
}
