//! Calls as a program makes them: a method of the trait on a client over VMCALL.

use hypercall_core::acrn::{
    ApiVersion, GpaToHpa, Hypervisor, MemoryRegion, MsiEntry, TeeBoot, TrustyBootParam, VcpuId,
    VmCreation, VmId, WorldSwitch,
};
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Error, Transport};
use hypercall_vmcall::{Identity, Vmcall};

/// The hypervisor, without the token: this code is read, never run.
#[inline(always)]
fn hypervisor() -> Client<Vmcall<Identity>> {
    const { assert!(size_of::<Vmcall<Identity>>() == 0) };
    // SAFETY: the type has no data, so there is nothing that could be invalid; nothing of this crate is ever executed.
    Client::new(unsafe { core::mem::MaybeUninit::uninit().assume_init() })
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_no_argument() -> bool {
    hypervisor().save_restore_sworld_ctx().is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_one_value(vm: u16) -> bool {
    hypervisor().start_vm(VmId(vm)).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_two_values(vm: u16, vcpu: u16) -> bool {
    hypervisor()
        .notify_request_finish(VmId(vm), VcpuId(vcpu))
        .is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_value_and_struct(vm: u16, msi: &MsiEntry) -> bool {
    hypervisor().inject_msi(VmId(vm), msi).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_struct_out(version: &mut ApiVersion) -> bool {
    match hypervisor().get_api_version() {
        Ok(answer) => {
            *version = answer;
            true
        }
        Err(_) => false,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_struct_in_and_out(creation: &mut VmCreation) -> u16 {
    match hypervisor().create_vm(creation) {
        Ok(vm) => vm.0,
        Err(_) => 0xffff,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_value_and_struct_in_and_out(vm: u16, question: &mut GpaToHpa) -> u64 {
    match hypervisor().vm_gpa2hpa(VmId(vm), question) {
        Ok(hpa) => hpa.0,
        Err(_) => u64::MAX,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_nested_array(vm: u16, regions: &[MemoryRegion; 2]) -> bool {
    hypervisor().set_memory_regions(VmId(vm), regions).is_ok()
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_number_at_run_time(info: &'static CallInfo, first: u64) -> i64 {
    hypervisor()
        .transport()
        .call(info, [Arg::Value(first), Arg::None])
        .unwrap_or(-1)
}

/// The whole error, as a program that reports it gets it.
#[unsafe(no_mangle)]
pub fn typed_whole_error(vm: u16) -> Result<(), Error> {
    hypervisor().start_vm(VmId(vm))
}

/// Returns through another world, with that world's message in registers: where the compiler keeps these values meanwhile
/// shows what it believes preserved.
#[unsafe(no_mangle)]
pub extern "C" fn typed_switching_struct(
    param: &TrustyBootParam,
    kept: u64,
    more: u64,
    others: u64,
    last: u64,
) -> u64 {
    match hypervisor().transport().start_secure_world(param) {
        Ok(message) => {
            message.rbx ^ kept ^ more.rotate_left(1) ^ others.rotate_left(2) ^ last.rotate_left(3)
        }
        Err(_) => 0,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn typed_switching_value(kept: u64, more: u64, others: u64, last: u64) -> u64 {
    match hypervisor().transport().tee_boot_done(TeeBoot::START_REE) {
        Ok(request) => {
            request.rbx ^ kept ^ more.rotate_left(1) ^ others.rotate_left(2) ^ last.rotate_left(3)
        }
        Err(_) => 0,
    }
}
