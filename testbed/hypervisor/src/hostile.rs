//! Answers that no hypervisor should give. What a call's memory is comes from the interface's description, so that every
//! shape of call is answered wrongly, those that are added later too.

use bare::control::Answer;
use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::{Direction, LinkInfo, LinkTarget, RegisterInfo};
use hypercall_core::server::{GuestMemory, Registers};

const CREATE_VM: u64 = 0x8000_0010;
/// Where CREATE_VM's block has the id (ACRN `acrn_vm_creation`).
const VMID: u64 = 0;
const VM_GPA2HPA: u64 = 0x8000_0041;
/// Where VM_GPA2HPA's block has the host's address (ACRN `vm_gpa2hpa`).
const HPA: u64 = 8;
/// Bytes that are taken to be behind an address whose length the call does not say.
const BYTES: u64 = 16;
/// How much is overwritten beyond a block, and with what.
const BEYOND: [u8; 64] = [0xee; 64];

/// RAX of a call that is answered wrongly, after its memory was treated so. `rax`: what it was; `vm`: the id of
/// [`Answer::WrongVm`]. `None` where the answer is an honest one.
pub fn misanswer(
    answer: Answer,
    call: Registers,
    rax: i64,
    vm: u16,
    memory: &impl GuestMemory,
) -> Option<i64> {
    Some(match answer {
        Answer::Honest => return None,
        Answer::Nothing => {
            result(call, memory);
            0
        }
        Answer::Unwritten => 0,
        Answer::Garbage => 0x5a5a_5a5a_5a5a_5a5a,
        Answer::ShortCode => 0xffff_ffff,
        Answer::RaxUnwritten => rax,
        Answer::Ones => {
            fill(call, memory, 0xff);
            0
        }
        Answer::Noise => {
            fill(call, memory, 0xa5);
            0
        }
        Answer::RefusedButWritten => {
            fill(call, memory, 0x01);
            -22
        }
        Answer::Beyond => {
            for end in ends(call, memory) {
                let _ = memory.write(end, &BEYOND);
            }
            0
        }
        Answer::WrongVm => {
            if call.number == CREATE_VM {
                let block = call.args[0].wrapping_add(VMID);
                let _ = memory.write(block, &vm.to_le_bytes());
            }
            0
        }
    })
}

/// Writes the results that a client looks at, so that a call that is measured succeeds.
fn result(call: Registers, memory: &impl GuestMemory) {
    let [first, second] = call.args;
    let _ = match call.number {
        CREATE_VM => memory.write(first.wrapping_add(VMID), &1_u16.to_le_bytes()),
        VM_GPA2HPA => memory.write(second.wrapping_add(HPA), &[0; 8]),
        _ => Ok(()),
    };
}

/// The registers of a call, and what they point at.
fn registers(call: Registers) -> impl Iterator<Item = (&'static RegisterInfo, u64)> {
    let calls = HypervisorCalls::INTERFACE;
    let registers = calls.select(call.number, call.args);
    registers
        .into_iter()
        .flat_map(move |info| info.registers.iter().zip(call.args))
}

/// Fills every block that the call may write.
fn fill(call: Registers, memory: &impl GuestMemory, byte: u8) {
    for (register, address) in registers(call) {
        let (direction, size) = match register {
            RegisterInfo::Block {
                direction, size, ..
            } => (direction, *size as u64),
            RegisterInfo::Bytes { direction, .. } => (direction, BYTES),
            _ => continue,
        };
        if *direction != Direction::Read {
            for at in 0..size {
                let _ = memory.write(address.wrapping_add(at), &[byte]);
            }
        }
    }
}

/// Where the memory of a call ends: of what a block points at, where it does, and not of the block, which is then the
/// client's own.
fn ends(call: Registers, memory: &impl GuestMemory) -> impl Iterator<Item = u64> {
    registers(call).filter_map(|(register, address)| match register {
        RegisterInfo::Block {
            link: Some(link), ..
        } => linked_end(link, address, memory),
        RegisterInfo::Block { size, .. } => Some(address.wrapping_add(*size as u64)),
        RegisterInfo::Bytes { .. } => Some(address.wrapping_add(BYTES)),
        _ => None,
    })
}

fn linked_end(link: &LinkInfo, header: u64, memory: &impl GuestMemory) -> Option<u64> {
    let number = |offset: usize, size: usize| {
        let mut bytes = [0; 8];
        let number = bytes.get_mut(..size)?;
        memory
            .read(header.wrapping_add(offset as u64), number)
            .ok()?;
        Some(u64::from_le_bytes(bytes))
    };
    let start = number(link.offset, 8)?;
    let length = match link.target {
        LinkTarget::Array {
            size,
            count_offset,
            count_size,
            ..
        } => number(count_offset, count_size)?.wrapping_mul(size as u64),
        LinkTarget::Shared => 4096,
    };
    Some(start.wrapping_add(length))
}
