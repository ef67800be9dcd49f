//! The same calls by hand: what somebody would write who knows the ABI and wants nothing between, and takes neither an old RAX nor
//! an old result in memory for an answer.

use core::arch::asm;

use hypercall_core::Payload;
use hypercall_core::acrn::{ApiVersion, GpaToHpa, MemoryRegion, MsiEntry, SetRegions, VmCreation};
use hypercall_core::call::CallInfo;

/// RAX before the call: nothing that reads as an answer. ACRN 3.3 left RAX alone where the result was -13 or -19, and who does
/// without this instruction reads an old 0 as success there.
const UNWRITTEN: i64 = i64::MIN;

#[unsafe(no_mangle)]
pub extern "C" fn hand_no_argument() -> bool {
    let mut rax = UNWRITTEN;
    unsafe { asm!("vmcall", in("r8") 0x8000_0072_u64, inlateout("rax") rax, options(nostack)) };
    rax == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_one_value(vm: u16) -> bool {
    let mut rax = UNWRITTEN;
    unsafe {
        asm!("vmcall", in("r8") 0x8000_0012_u64, in("rdi") u64::from(vm), inlateout("rax") rax, options(nostack));
    }
    rax == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_two_values(vm: u16, vcpu: u16) -> bool {
    two(0x8000_0031, u64::from(vm), u64::from(vcpu)) == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_value_and_struct(vm: u16, msi: &MsiEntry) -> bool {
    two(
        0x8000_0023,
        u64::from(vm),
        core::ptr::from_ref(msi).expose_provenance() as u64,
    ) == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_struct_out(version: &mut ApiVersion) -> bool {
    let mut answer = ApiVersion::zeroed();
    let address = core::ptr::from_mut(&mut answer).expose_provenance() as u64;
    if one(0x8000_0000, address) != 0 {
        return false;
    }
    *version = answer;
    true
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_struct_in_and_out(creation: &mut VmCreation) -> u16 {
    creation.vmid.0 = 0xffff;
    let address = core::ptr::from_mut(creation).expose_provenance() as u64;
    match one(0x8000_0010, address) {
        0 => creation.vmid.0,
        _ => 0xffff,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_value_and_struct_in_and_out(vm: u16, question: &mut GpaToHpa) -> u64 {
    let vm = u64::from(vm);
    question.hpa.0 = u64::MAX;
    let address = core::ptr::from_mut(question).expose_provenance() as u64;
    match two(0x8000_0041, vm, address) {
        0 => question.hpa.0,
        _ => u64::MAX,
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_nested_array(vm: u16, regions: &[MemoryRegion; 2]) -> bool {
    let mut header = SetRegions::zeroed();
    header.vmid.0 = vm;
    header.mr_num = 2;
    header.regions_gpa.0 = core::ptr::from_ref(regions).expose_provenance() as u64;
    one(
        0x8000_0042,
        core::ptr::from_mut(&mut header).expose_provenance() as u64,
    ) == 0
}

#[unsafe(no_mangle)]
pub extern "C" fn hand_number_at_run_time(info: &'static CallInfo, first: u64) -> i64 {
    one(info.number, first)
}

#[inline(always)]
fn one(number: u64, first: u64) -> i64 {
    let mut rax = UNWRITTEN;
    unsafe {
        asm!("vmcall", in("r8") number, in("rdi") first, inlateout("rax") rax, options(nostack))
    };
    rax
}

#[inline(always)]
fn two(number: u64, first: u64, second: u64) -> i64 {
    let mut rax = UNWRITTEN;
    unsafe {
        asm!("vmcall", in("r8") number, in("rdi") first, in("rsi") second, inlateout("rax") rax, options(nostack));
    }
    rax
}
