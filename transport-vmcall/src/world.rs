//! The world switches: four to six registers each way, and back where a call starts another world.

use hypercall::acrn::{
    HypervisorCalls as Calls, SWITCH_EE, SwitchRefused, TeeBoot, TeeReply, TeeRequest,
    TrustyBootParam, WORLD_SWITCH, WorldMessage, WorldSwitch,
};
use hypercall::{Error, Payload, RAX_UNWRITTEN, Value};

use crate::asm::vmcall_switch;
use crate::transport::{START_SECURE_WORLD, TEE_BOOT_DONE, boot_refused};
use crate::{Translate, Vmcall};

/// RAX of a message that has none.
const UNWRITTEN: u64 = RAX_UNWRITTEN.cast_unsigned();

impl<X: Translate> WorldSwitch for Vmcall<X> {
    fn start_secure_world(&self, param: &TrustyBootParam) -> Result<WorldMessage, Error> {
        let call = Calls::INITIALIZE_TRUSTY;
        let block = param.as_block();
        let param = self
            .address(block.as_ptr(), block.len(), 0, false)
            .map_err(|why| Error::transport(call, [0; 2], why))?;
        let [rax, _, rdx, rbx, rsi, rdi] =
            self.switch(START_SECURE_WORLD, [UNWRITTEN, 0, 0, 0, 0, param]);
        match rax {
            0 => Ok(WorldMessage { rdi, rsi, rdx, rbx }),
            rax => Err(Error::from_outcome(call, [0; 2], Ok(rax.cast_signed()))),
        }
    }

    fn tee_boot_done(&self, start: TeeBoot) -> Result<TeeRequest, Error> {
        let value = start.to_register();
        let [rax, rcx, rdx, rbx, rsi, rdi] =
            self.switch(TEE_BOOT_DONE, [UNWRITTEN, 0, 0, 0, 0, value]);
        if boot_refused(rax.cast_signed()) {
            let (call, args) = (Calls::TEE_VCPU_BOOT_DONE, [value, 0]);
            return Err(Error::from_outcome(call, args, Ok(rax.cast_signed())));
        }
        Ok(TeeRequest {
            rax,
            rcx,
            rdx,
            rbx,
            rsi,
            rdi,
        })
    }

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
