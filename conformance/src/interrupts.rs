//! Registers of a vCPU, and interrupts into a VM: arguments.

use hypercall::PageAligned;
use hypercall::acrn::{
    Cr0, DeliveryMode, Gsi, HypervisorCalls as Calls, IntrMonitor, IntrMonitorCommand, IrqLine,
    IrqLineOp, MsiAddress, MsiData, MsiEntry, Regs, VcpuId, VcpuRegs, VmId,
};

use crate::program::IDLE_ENTRY;
use crate::steps::Steps;
use crate::user_vm::{registers, registers_with_cr0};

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("registers and interrupts of a created VM");
    let Some(vm) = steps.create("powered off") else {
        return;
    };
    vcpu(steps, vm);
    let h = steps.hypervisor;
    let call = Calls::INJECT_MSI;
    for (what, address, data, expected) in [
        (
            "an address that is no APIC's",
            MsiAddress(0xfed0_0000),
            MsiData::vector_of(0x40),
            -1,
        ),
        (
            "bits above 31 of the address",
            MsiAddress(0xff_fee0_0000),
            MsiData::vector_of(0x40),
            0,
        ),
        (
            "a logical destination",
            MsiAddress::to_apic(1).logical(),
            MsiData::vector_of(0x40),
            0,
        ),
        ("vector 0", MsiAddress::to_apic(0), MsiData::vector_of(0), 0),
        (
            "an NMI",
            MsiAddress::to_apic(0),
            MsiData::vector_of(2).with_delivery(DeliveryMode::NMI),
            0,
        ),
    ] {
        steps.step(
            call,
            what,
            expected,
            h.inject_msi(vm, &MsiEntry::new(address, data)),
        );
    }

    let call = Calls::SET_IRQLINE;
    for (what, line, op, expected) in [
        ("the last line goes high", 47, IrqLineOp::HIGH, 0),
        ("the last line goes low", 47, IrqLineOp::LOW, 0),
        ("a falling pulse", 9, IrqLineOp::FALLING_PULSE, 0),
        ("a line too many", 48, IrqLineOp::HIGH, -1),
        ("no such operation", 9, IrqLineOp(77), 0),
        ("no such line, all bits", u32::MAX, IrqLineOp::HIGH, -1),
    ] {
        steps.step(
            call,
            what,
            expected,
            h.set_irqline(vm, IrqLine::new(Gsi(line), op)),
        );
    }
    let own = |line: u32| IrqLine::new(Gsi(line), IrqLineOp::LOW);
    steps.on_recorded(call, "the Service VM's last line", 0, |h| {
        h.set_irqline(VmId(0), own(23))
    });
    steps.on_recorded(call, "one too many of it", -1, |h| {
        h.set_irqline(VmId(0), own(24))
    });

    monitor(steps, vm);
    steps.destroy(vm);
}

fn vcpu(steps: &mut Steps<'_>, vm: VmId) {
    let h = steps.hypervisor;
    let call = Calls::SET_VCPU_REGS;
    let good = registers(IDLE_ENTRY);
    let with_cr4 = |cr4: u64| {
        let mut registers = good;
        registers.regs.cr4 = cr4;
        registers
    };
    let pe = Cr0::PE | Cr0::ET;
    for (what, registers, expected) in [
        ("as after a reset", VcpuRegs::bsp(Regs::reset()), 0),
        ("16-bit code", VcpuRegs::bsp(Regs::real_mode(0x1000, 0)), 0),
        (
            "a vCPU that there is not",
            VcpuRegs::new(VcpuId(15), good.regs),
            -1,
        ),
        (
            "a vCPU that no VM has",
            VcpuRegs::new(VcpuId(0xffff), good.regs),
            -1,
        ),
        ("CR0 without NE", registers_with_cr0(pe), -1),
        (
            "CR0 with a reserved bit",
            registers_with_cr0(pe | Cr0::NE | Cr0::from_bits_retain(1 << 6)),
            -1,
        ),
        (
            "CR0 with a bit above 31",
            registers_with_cr0(pe | Cr0::NE | Cr0::from_bits_retain(1 << 32)),
            -1,
        ),
        ("CR4 with PAE", with_cr4(1 << 5), 0),
        ("CR4 with VMXE", with_cr4(1 << 13), -1),
        ("CR4 with SMXE", with_cr4(1 << 14), -1),
    ] {
        steps.step(call, what, expected, h.set_vcpu_regs(vm, &registers));
    }
}

fn monitor(steps: &mut Steps<'_>, vm: VmId) {
    let h = steps.hypervisor;
    let call = Calls::VM_INTR_MONITOR;
    let mut counters = PageAligned(IntrMonitor::counters());
    steps.step(
        call,
        "counters of a VM without devices",
        0,
        h.vm_intr_monitor(vm, &mut counters),
    );
    steps.fact(call, "there are none", counters.0.buf_cnt == 0);
    let too_many = IntrMonitor {
        buf_cnt: IntrMonitor::WORDS.saturating_add(1),
        ..IntrMonitor::counters()
    };
    steps.step(
        call,
        "49 words",
        -22,
        h.vm_intr_monitor(vm, &mut PageAligned(too_many)),
    );
    let unknown = IntrMonitor {
        command: IntrMonitorCommand(7),
        ..IntrMonitor::counters()
    };
    steps.step(
        call,
        "no such command",
        -22,
        h.vm_intr_monitor(vm, &mut PageAligned(unknown)),
    );
    for (what, milliseconds) in [("a delay", 5), ("no delay", 0)] {
        let mut delay = PageAligned(IntrMonitor::delay(milliseconds));
        steps.step(call, what, 0, h.vm_intr_monitor(vm, &mut delay));
    }
}
