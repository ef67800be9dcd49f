//! 23 recorded calls as a test. Generated; from here on it is yours.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]

use hypercall_core::acrn::*;
use hypercall_core::{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value};
use hypercall_trace::replay::Replayer;

/// The calls with their answers.
const TRACE: &[u8] = include_bytes!("data/answers.hct");

#[test]
fn answers() -> Result<(), Box<dyn std::error::Error>> {
    let replayer = Replayer::options().from_bytes(TRACE)?;
    let _told = TellsWhereItLeft(&replayer);
    let main_lane = replayer.lane("main");
    let main = Client::new(&main_lane);

    // main#0: set_callback_vector(vector=Vector(7)) = -22 EINVAL
    let error = main.set_callback_vector(Vector(7)).unwrap_err();
    assert_eq!(error.rax, -22, "EINVAL: {error}");

    // main#1: set_callback_vector(vector=Vector(0xf4)) = 0
    main.set_callback_vector(Vector(0xf4))?;

    // main#2: create_vm(vmid=VmId(0xffff), name="one", cpu_affinity=PcpuSet(1)) = VmId(2)
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("one"),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let vm_2 = main.create_vm(&mut creation)?;
    assert_eq!(creation.vcpu_num, 1);

    // main#3: create_vm(vmid=VmId(0xffff), name="one", cpu_affinity=PcpuSet(1)) = -1 EPERM
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("one"),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let error = main.create_vm(&mut creation).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#4: create_vm(vmid=VmId(0xffff), name="other", flags=SECURE_WORLD, cpu_affinity=PcpuSet(1)) = -1 EPERM
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("other"),
        flags: raw(1 /* SECURE_WORLD */),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let error = main.create_vm(&mut creation).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#5: set_memory_regions(vmid=VmId(2)) = -1 EPERM
    let error = main.set_memory_regions(vm_2, &[]).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#6: set_memory_regions(vmid=VmId(2), mr_num=3, regions[0].prot=READ|WRITE|EXEC|WB, r … s[2].size=0x1000) = -22 EINVAL
    let error = main.set_memory_regions(vm_2, &[MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        service_vm_gpa: Gpa(0x4000000),
        size: 0x1000,
        ..zeroed()
    }, MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        gpa: Gpa(0x2000),
        service_vm_gpa: Gpa(0x4002000),
        size: 12,
        ..zeroed()
    }, MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        gpa: Gpa(0x3000),
        service_vm_gpa: Gpa(0x4003000),
        size: 0x1000,
        ..zeroed()
    }]).unwrap_err();
    assert_eq!(error.rax, -22, "EINVAL: {error}");

    // main#7: vm_gpa2hpa(vm=VmId(2), gpa=Gpa(0x10), hpa=Hpa(0xffffffffffffffff)) = Hpa(0x4000010)
    let mut translation = GpaToHpa {
        gpa: Gpa(0x10),
        hpa: Hpa(0xffffffffffffffff),
    };
    assert_eq!(main.vm_gpa2hpa(vm_2, &mut translation)?, Hpa(0x4000010));

    // main#8: vm_gpa2hpa(vm=VmId(2), gpa=Gpa(0x900000), hpa=Hpa(0xffffffffffffffff)) = -1 EPERM
    let mut translation = GpaToHpa {
        gpa: Gpa(0x900000),
        hpa: Hpa(0xffffffffffffffff),
    };
    let error = main.vm_gpa2hpa(vm_2, &mut translation).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#9: get_hw_info() = {cpu_num=1}
    let expected = HwInfo {
        cpu_num: 1,
        ..zeroed()
    };
    assert_eq!(main.get_hw_info()?, expected);

    // main#10: vm_intr_monitor(vm=VmId(2), buf_cnt=0x30) = 0
    let mut monitor = PageAligned(IntrMonitor {
        buf_cnt: 48,
        ..zeroed()
    });
    main.vm_intr_monitor(vm_2, &mut monitor)?;
    assert_eq!(monitor.0.buf_cnt, 0);

    // main#11: set_irqline(vm=VmId(2), line.gsi=Gsi(5), line.op=HIGH) = 0
    main.set_irqline(vm_2, arg(5 /* {gsi=Gsi(5), op=HIGH} */))?;

    // main#12: set_irqline(vm=VmId(2), line.gsi=Gsi(0x63), line.op=HIGH) = -1 EPERM
    let error = main.set_irqline(vm_2, arg(0x63 /* {gsi=Gsi(0x63), op=HIGH} */)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#13: pm_get_cx_count(command.kind=CX_COUNT, command.state=0, command.vcpu=VcpuId(0),  … Id(2), command.ignored=0) = {}
    let expected = 0;
    assert_eq!(main.pm_get_cx_count(arg(0x2000000 /* {kind=PX_COUNT, state=0, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */))?, expected);

    // main#14: pm_get_cx_data(command.kind=CX_DATA, command.state=0, command.vcpu=VcpuId(0), co …  command.ignored=0) = -1 EPERM
    let error = main.pm_get_cx_data(arg(0x2000000 /* {kind=PX_COUNT, state=0, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#15: profiling_ops(command=GET_VM_INFO) = 0
    let mut buffer = [0; 64];
    main.profiling_ops(arg(1 /* GET_VM_INFO */), &mut buffer)?;
    assert_eq!(buffer, [0x02, 0x00, 0x00, 0x00, 0xff, 0xff, 0x56, 0x4d, 0x4d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x76, 0x6d, 0x5f, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]);

    // main#16: initialize_trusty(size_of_this_struct=0x60, version=2, base_addr=0x1000, entry_p … pmb_key=<secret>) = -25 ENOTTY
    let param = TrustyBootParam {
        size_of_this_struct: 96,
        version: 2,
        base_addr: 0x1000,
        entry_point: 0x2000,
        mem_size: 0x1000,
        // rpmb_key is a secret.
        ..zeroed()
    };
    let error = main.initialize_trusty(&param).unwrap_err();
    assert_eq!(error.rax, -25, "ENOTTY: {error}");

    // main#17: set_vcpu_regs(vm=VmId(2), regs.gdt.limit=0xffff, regs.idt.limit=0xffff, regs.rip … xffff, regs.cs_sel=0xf000) = 0
    let regs = VcpuRegs {
        regs: Regs {
            gdt: bytes(&[0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
            idt: bytes(&[0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
            rip: 0xfff0,
            cs_base: 0xffff0000,
            cr0: raw(48 /* ET|NE */),
            cs_ar: 159,
            cs_limit: 0xffff,
            cs_sel: 0xf000,
            ..zeroed()
        },
        ..zeroed()
    };
    main.set_vcpu_regs(vm_2, &regs)?;

    // main#18: set_ioreq_buffer(vm=VmId(2), page=Gpa(0x5000000)) = 0
    main.set_ioreq_buffer(vm_2, Gpa(0x5000000).into())?;

    // main#19: pause_vm(vm=VmId(2)) = 0
    main.pause_vm(vm_2)?;

    // main#20: destroy_vm(vm=VmId(2)) = 0
    main.destroy_vm(vm_2)?;

    // main#21: asyncio_assign(vm=VmId(2), kind=PIO, addr=Gpa(0x600), fd=7) = ? (the hypervisor  … st (ACRN asyncio_is_conflict))
    let info = AsyncIoInfo {
        kind: raw(1 /* PIO */),
        addr: Gpa(0x600),
        fd: 7,
        ..zeroed()
    };
    let error = main.asyncio_assign(vm_2, &info).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // main#22: get_api_version() = ? (the hypervisor crashed: ASYNCIO_ASSIGN before the first S … st (ACRN asyncio_is_conflict))
    let error = main.get_api_version().unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // Every recorded call was made.
    replayer.finish()?;
    Ok(())
}

/// Prints the replay's report where the program left the trace.
struct TellsWhereItLeft<'r>(&'r Replayer);

impl Drop for TellsWhereItLeft<'_> {
    fn drop(&mut self) {
        if self.0.divergence().is_some() {
            eprintln!("{}", self.0.report());
        }
    }
}

/// A value of these bytes; zero behind them.
fn bytes<T: hypercall_core::zerocopy::FromBytes>(from: &[u8]) -> T {
    let mut all = vec![0; size_of::<T>()];
    for (place, byte) in all.iter_mut().zip(from) {
        *place = *byte;
    }
    T::read_from_bytes(&all).unwrap_or_else(|_| T::new_zeroed())
}

fn text<T: hypercall_core::zerocopy::FromBytes>(from: &str) -> T {
    bytes(from.as_bytes())
}

/// A flag or a named number, as it is in memory.
fn raw<T: hypercall_core::zerocopy::FromBytes>(from: u64) -> T {
    bytes(&from.to_le_bytes())
}

fn zeroed<P: Payload>() -> P {
    P::zeroed()
}

/// A value as it is in a register.
fn arg<V: Value>(from: u64) -> V {
    V::from_register(from)
}
