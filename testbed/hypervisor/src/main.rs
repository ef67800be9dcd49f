//! The smallest hypervisor that answers hypercalls honestly.
//!
//! One virtual processor runs the guest that lies in this image. What the guest executes reaches the hypervisor by the
//! processor's exits: by SVM on AMD's processors, by VMX on Intel's, as CPUID says. Hypercalls are answered by the
//! framework's dispatcher in front of the fake ACRN: the server side of the same trait that the guest calls.
#![no_std]
#![no_main]

extern crate alloc;

mod cpu;
mod elf;
mod guest_memory;
mod host;
mod hostile;
mod orders;
mod page;
mod svm;
mod timer;
mod vmx;
mod walk;
mod worlds;

use alloc::boxed::Box;
use core::fmt::Display;

use bare::cpu::cpuid;
use bare::exit::{Verdict, end};
use bare::heap::Heap;
use bare::{interrupts, line};
use virt::cr4;

use cpu::{Exit, PortAccess, Registers, VirtualCpu};
use guest_memory::GuestRam;
use host::{Answered, Host};
use orders::Orders;

/// Invalid opcode, general protection (Intel SDM volume 3, 7.15).
const UD: u8 = 6;
const GP: u8 = 13;
const VMCALL: [u8; 3] = [0x0f, 0x01, 0xc1];
/// How many interrupts of the timer the guest may sleep through: nobody else would wake it.
const SLEEP: u32 = 2000;

/// The status register of the first serial port: 0 says that it takes no byte.
const SERIAL_STATUS: u16 = 0x3fd;
/// Where emulators take the end of a run: QEMU's four ports, Bochs's one.
const ENDS: [u16; 5] = [0xf4, 0xf5, 0xf6, 0xf7, 0x8900];

static GUEST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/guest.elf"));

#[global_allocator]
static HEAP: Heap<{ 8 << 20 }> = Heap::new();

#[unsafe(no_mangle)]
extern "sysv64" fn image_main() -> ! {
    // SAFETY: the first thing that the only processor does.
    unsafe { interrupts::install() };
    // SAFETY: nothing was written to memory yet but this image.
    let orders = Orders::from_line(unsafe { bare::boot::command_line() }.unwrap_or_default());
    // SAFETY: this image lies above 64 MiB, memory is mapped to itself, and what lies below is the machine's RAM.
    let ram = unsafe { GuestRam::new() };
    let entry = match elf::load(GUEST, &ram) {
        Ok(entry) => entry,
        Err(why) => stop(why),
    };
    let mut cpu = match virtual_cpu(entry) {
        Ok(Some(cpu)) => cpu,
        Ok(None) => {
            stop("this processor has no virtualization that this hypervisor knows: SVM, or VMX")
        }
        Err(why) => stop(why),
    };
    if orders.no_end {
        for port in ENDS {
            cpu.keep_port(port, true);
        }
    }
    line!("hypervisor: {}, guest at {entry:#x}", cpu.name());
    let about = u32::from(cpu.protects_memory());
    // SAFETY: nobody else uses the timer yet.
    let tsc_khz = unsafe { timer::tsc_khz() };
    let mut host = Host::new(ram, about, orders, tsc_khz);
    let mut registers = Registers::new();
    // SAFETY: handlers are installed, interrupts are off, and what the guest does to these ports exits.
    unsafe { timer::start() };
    loop {
        settle(cpu.as_mut(), &mut host);
        let exit = cpu.run(&mut registers);
        handle(exit, cpu.as_mut(), &mut registers, &mut host, &ram);
    }
}

/// The virtual processor that this machine can run.
fn virtual_cpu(entry: u64) -> Result<Option<Box<dyn VirtualCpu>>, vmx::Refused> {
    if svm::present() {
        // SAFETY: called once, in ring 0, and the processor has SVM.
        return Ok(Some(Box::new(unsafe { svm::Svm::new(entry) })));
    }
    if vmx::present() {
        // SAFETY: called once, in ring 0, and the processor has VMX.
        return Ok(Some(Box::new(unsafe { vmx::Vmx::new(entry) }?)));
    }
    Ok(None)
}

fn handle(
    exit: Exit,
    cpu: &mut dyn VirtualCpu,
    registers: &mut Registers,
    host: &mut Host,
    ram: &GuestRam,
) {
    match exit {
        Exit::Vmcall => vmcall(cpu, registers, host),
        Exit::InvalidOpcode => {
            if walk::fetch(cpu.paging(), cpu.place().rip, ram) == Some(VMCALL) {
                vmcall(cpu, registers, host);
            } else {
                cpu.raise(UD, None);
            }
        }
        Exit::Cpuid => {
            let [eax, ebx, ecx, edx] = host.cpuid(registers.rax as u32, registers.rcx as u32);
            registers.rax = u64::from(eax);
            registers.rbx = u64::from(ebx);
            registers.rcx = u64::from(ecx);
            registers.rdx = u64::from(edx);
            cpu.skip(2);
            let mut place = cpu.place();
            if host.secure_interrupt(registers, &mut place) {
                cpu.set_place(place);
            }
        }
        Exit::Halt => halt(cpu, host),
        Exit::Interrupt => cpu.take_interrupts(),
        Exit::Cr4 => write_cr4(cpu, registers, ram),
        Exit::Port(access) => port(access, cpu, registers, host),
        Exit::Forbidden => cpu.raise(UD, None),
        Exit::Invalidate => cpu.skip(2),
        Exit::Register | Exit::Memory(_) => cpu.raise(GP, Some(0)),
        Exit::Nothing | Exit::Window => {}
        Exit::Died => stop("the guest had a triple fault"),
        Exit::Other(code) => {
            line!("hypervisor: exit {code:#x} at RIP {:#x}", cpu.place().rip);
            stop("an exit that this hypervisor does not know");
        }
    }
}

/// What the timer brought, as far as the guest can take it now.
fn settle(cpu: &mut dyn VirtualCpu, host: &mut Host) {
    host.look_at_timer();
    if cpu.open()
        && let Some(vector) = host.when_open()
    {
        cpu.interrupt(vector);
    }
    cpu.want_window(host.wants_window());
}

/// The guest sleeps until an interrupt comes for it.
fn halt(cpu: &mut dyn VirtualCpu, host: &mut Host) {
    if cpu.place().rflags & 0x200 == 0 {
        stop("the guest stopped its processor for good");
    }
    cpu.skip(1);
    for _ in 0..SLEEP {
        host.look_at_timer();
        if let Some(vector) = host.when_open() {
            return cpu.interrupt(vector);
        }
        cpu.idle();
    }
    stop("the guest waits for an interrupt that nobody raises");
}

/// A guest that writes CR4 gets the bits that it has, or an exception.
fn write_cr4(cpu: &mut dyn VirtualCpu, registers: &Registers, ram: &GuestRam) {
    let (paging, place) = (cpu.paging(), cpu.place());
    // Three bytes without a prefix: the fourth may lie on a page that is not there.
    let short = walk::fetch::<3>(paging, place.rip, ram).and_then(|bytes| cr4::decode(&bytes));
    let long = || walk::fetch::<4>(paging, place.rip, ram).and_then(|bytes| cr4::decode(&bytes));
    let Some((register, length)) = short.or_else(long) else {
        line!("hypervisor: CR4 is written at RIP {:#x}", place.rip);
        stop("an instruction that this hypervisor does not know");
    };
    // The upper half of a register is nothing outside long mode.
    let long_mode = paging.efer & (1 << 10) != 0;
    let value = registers.general(register).unwrap_or(place.rsp)
        & if long_mode { u64::MAX } else { 0xffff_ffff };
    if value & !cr4::allowed(cpuid(1, 0), cpuid(7, 0)) != 0 {
        return cpu.raise(GP, Some(0));
    }
    cpu.set_cr4(value);
    cpu.skip(length);
}

/// The hypervisor's ports: nothing is there, or a serial port that takes no byte.
fn port(access: PortAccess, cpu: &mut dyn VirtualCpu, registers: &mut Registers, host: &Host) {
    if access.string {
        return cpu.raise(GP, Some(0));
    }
    if access.port == SERIAL_STATUS && host.faults_again() {
        cpu.keep_port(SERIAL_STATUS, false);
        return cpu.raise(GP, Some(0));
    }
    if access.input {
        registers.rax = match access.size {
            1 if access.port == SERIAL_STATUS => registers.rax & !0xff,
            1 => registers.rax | 0xff,
            2 => registers.rax | 0xffff,
            _ => 0xffff_ffff,
        };
    }
    cpu.skip(access.length);
}

fn vmcall(cpu: &mut dyn VirtualCpu, registers: &mut Registers, host: &mut Host) {
    let mut place = cpu.place();
    let answered = host.vmcall(registers, &mut place, cpu.privilege());
    if host.mutes() || host.faults_again() {
        cpu.keep_port(SERIAL_STATUS, true);
    }
    match answered {
        Answered::Rax(rax) => {
            registers.rax = rax.cast_unsigned();
            cpu.skip(3);
        }
        Answered::Fault(GP) => cpu.raise(GP, Some(0)),
        Answered::Fault(vector) => cpu.raise(vector, None),
        Answered::Switched => cpu.set_place(place),
        Answered::Dead(why) => {
            line!(
                "hypervisor: the machine did not survive call {:#x}: {why}",
                registers.r8
            );
            stop("a hazard of the real hypervisor");
        }
    }
}

fn stop(why: impl Display) -> ! {
    line!("hypervisor: {why}");
    end(Verdict::Failed)
}
