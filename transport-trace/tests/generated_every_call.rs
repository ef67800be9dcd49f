//! 43 recorded calls as a test. Generated; from here on it is yours.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]

use hypercall_core::acrn::*;
use hypercall_core::{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value};
use hypercall_trace::replay::Replayer;

/// The calls with their answers.
const TRACE: &[u8] = include_bytes!("data/every_call.hct");

static PAGE_MAIN_0: SharedPage = SharedPage::new();
static PAGE_MAIN_1: SharedPage = SharedPage::new();
static PAGE_MAIN_SETUP_SBUF_12: SharedPage = SharedPage::new();

#[test]
fn every_call() -> Result<(), Box<dyn std::error::Error>> {
    let replayer = Replayer::options().from_bytes(TRACE)?;
    let _told = TellsWhereItLeft(&replayer);
    let main_lane = replayer.lane("main");
    let main = Client::new(&main_lane);

    // main#0: get_api_version() = {major=1}
    let expected = ApiVersion {
        major: 1,
        ..zeroed()
    };
    assert_eq!(main.get_api_version()?, expected);

    // main#1: service_vm_offline_cpu(lapic=LapicId(0x4d)) = 0
    main.service_vm_offline_cpu(LapicId(0x4d))?;

    // main#2: set_callback_vector(vector=Vector(0xf3)) = 0
    main.set_callback_vector(Vector(0xf3))?;

    // main#3: create_vm(vmid=VmId(0xffff), name="all", cpu_affinity=PcpuSet(1)) = VmId(2)
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("all"),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let vm_2 = main.create_vm(&mut creation)?;
    assert_eq!(creation.vcpu_num, 1);

    // main#4: create_vcpu(vm=VmId(2)) = 0
    main.create_vcpu(vm_2)?;

    // main#5: set_vcpu_regs(vm=VmId(2), regs.gdt.limit=0x1f, regs.gdt.base=0x2000, regs.rip=0x … el=0x18, regs.es_sel=0x18) = 0
    let regs = VcpuRegs {
        regs: Regs {
            gdt: bytes(&[0x1f, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
            rip: 0x1000,
            cr0: raw(49 /* PE|ET|NE */),
            cs_ar: 0xc09b,
            cs_limit: 0xffffffff,
            cs_sel: 16,
            ss_sel: 24,
            ds_sel: 24,
            es_sel: 24,
            ..zeroed()
        },
        ..zeroed()
    };
    main.set_vcpu_regs(vm_2, &regs)?;

    // main#6: inject_msi(vm=VmId(2), address=MsiAddress(0xfee00000), data=MsiData(0x41)) = 0
    let msi = MsiEntry {
        address: MsiAddress(0xfee00000),
        data: MsiData(0x41),
    };
    main.inject_msi(vm_2, &msi)?;

    // main#7: vm_intr_monitor(vm=VmId(2), command=DELAY_INT, buf_cnt=1, buffer[0]=3) = 0
    let mut monitor = PageAligned(IntrMonitor {
        command: raw(1 /* DELAY_INT */),
        buf_cnt: 1,
        buffer: [3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    });
    main.vm_intr_monitor(vm_2, &mut monitor)?;

    // main#8: set_irqline(vm=VmId(2), line.gsi=Gsi(5), line.op=FALLING_PULSE) = 0
    main.set_irqline(vm_2, arg(0x300000005 /* {gsi=Gsi(5), op=FALLING_PULSE} */))?;

    // main#9: set_ioreq_buffer(vm=VmId(2), page=<page>) = 0
    main.set_ioreq_buffer(vm_2, (&PAGE_MAIN_1).into())?;

    // main#10: notify_request_finish(vm=VmId(2), vcpu=VcpuId(1)) = -1 EPERM
    let error = main.notify_request_finish(vm_2, VcpuId(1)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#11: setup_sbuf(vm=VmId(2), sbuf_id=ASYNCIO, buffer=<page>) = 0
    main.setup_sbuf(vm_2, PcpuId(0), arg(0x40 /* ASYNCIO */), (&PAGE_MAIN_0).into())?;

    // main#12: setup_sbuf(vm=VmId(2), sbuf_id=HVLOG, buffer=<page>) = 0
    main.setup_sbuf(vm_2, PcpuId(0), arg(1 /* HVLOG */), (&PAGE_MAIN_SETUP_SBUF_12).into())?;

    // main#13: setup_sbuf(vm=VmId(2), sbuf_id=9, buffer=Gpa(0x0)) = -1 EPERM
    let error = main.setup_sbuf(vm_2, PcpuId(0), arg(9 /* 9 */), Gpa(0x0).into()).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#14: asyncio_assign(vm=VmId(2), kind=PIO, match_data=1, addr=Gpa(0x600), fd=7, data=3) = 0
    let info = AsyncIoInfo {
        kind: raw(1 /* PIO */),
        match_data: 1,
        addr: Gpa(0x600),
        fd: 7,
        data: 3,
    };
    main.asyncio_assign(vm_2, &info)?;

    // main#15: asyncio_deassign(vm=VmId(2), kind=MMIO, addr=Gpa(0xd0000000), fd=8) = 0
    let info = AsyncIoInfo {
        kind: raw(2 /* MMIO */),
        addr: Gpa(0xd0000000),
        fd: 8,
        ..zeroed()
    };
    main.asyncio_deassign(vm_2, &info)?;

    // main#16: set_memory_regions(vmid=VmId(2), mr_num=2, regions[0].prot=READ|WRITE|EXEC|WB, r … ), regions[1].size=0x1000) = 0
    main.set_memory_regions(vm_2, &[MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        service_vm_gpa: Gpa(0x4000000),
        size: 0x4000,
        ..zeroed()
    }, MemoryRegion {
        kind: raw(2 /* DEL */),
        gpa: Gpa(0x1000),
        size: 0x1000,
        ..zeroed()
    }])?;

    // main#17: vm_gpa2hpa(vm=VmId(2), gpa=Gpa(0x10), hpa=Hpa(0xffffffffffffffff)) = Hpa(0x4000010)
    let mut translation = GpaToHpa {
        gpa: Gpa(0x10),
        hpa: Hpa(0xffffffffffffffff),
    };
    assert_eq!(main.vm_gpa2hpa(vm_2, &mut translation)?, Hpa(0x4000010));

    // main#18: write_protect_page(vm=VmId(2), set=1) = 0
    let page = WriteProtect {
        set: 1,
        ..zeroed()
    };
    main.write_protect_page(vm_2, &page)?;

    // main#19: assign_pcidev(vm=VmId(2), virt_bdf=Bdf(0x18), phys_bdf=Bdf(0x18), bar[0]=0xf0000 … 0, bar[2]=0xe001) = -19 ENODEV
    let device = PciDevice {
        virt_bdf: Bdf(0x18),
        phys_bdf: Bdf(0x18),
        bar: [0xf0000000, 0, 0xe001, 0, 0, 0],
        ..zeroed()
    };
    let error = main.assign_pcidev(vm_2, &device).unwrap_err();
    assert_eq!(error.rax, -19, "ENODEV: {error}");

    // main#20: set_ptdev_intr_info(vm=VmId(2), virt_bdf=Bdf(0x18), phys_bdf=Bdf(0x18), intx.vir … 5, intx.phys_pin=6) = -1 EPERM
    let irq = PtdevIrq {
        virt_bdf: Bdf(0x18),
        phys_bdf: Bdf(0x18),
        intx: Intx {
            virt_pin: 5,
            phys_pin: 6,
            ..zeroed()
        },
        ..zeroed()
    };
    let error = main.set_ptdev_intr_info(vm_2, &irq).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#21: reset_ptdev_intr_info(vm=VmId(2), virt_bdf=Bdf(0x18), phys_bdf=Bdf(0x18), intx.v … 5, intx.phys_pin=6) = -1 EPERM
    let irq = PtdevIrq {
        virt_bdf: Bdf(0x18),
        phys_bdf: Bdf(0x18),
        intx: Intx {
            virt_pin: 5,
            phys_pin: 6,
            ..zeroed()
        },
        ..zeroed()
    };
    let error = main.reset_ptdev_intr_info(vm_2, &irq).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#22: deassign_pcidev(vm=VmId(2), virt_bdf=Bdf(0x18), phys_bdf=Bdf(0x18), bar[0]=0xf00 … 0, bar[2]=0xe001) = -19 ENODEV
    let device = PciDevice {
        virt_bdf: Bdf(0x18),
        phys_bdf: Bdf(0x18),
        bar: [0xf0000000, 0, 0xe001, 0, 0, 0],
        ..zeroed()
    };
    let error = main.deassign_pcidev(vm_2, &device).unwrap_err();
    assert_eq!(error.rax, -19, "ENODEV: {error}");

    // main#23: assign_mmiodev(vm=VmId(2), name="UART", resources[0].user_vm_pa=Gpa(0xf0000000), …  resources[0].size=0x1000) = 0
    let device = MmioDevice {
        name: text("UART"),
        resources: [MmioResource {
            user_vm_pa: Gpa(0xf0000000),
            host_pa: Hpa(0x30000000),
            size: 0x1000,
            ..zeroed()
        }, zeroed(), zeroed()],
    };
    main.assign_mmiodev(vm_2, &device)?;

    // main#24: deassign_mmiodev(vm=VmId(2), name="UART", resources[0].user_vm_pa=Gpa(0xf0000000 …  resources[0].size=0x1000) = 0
    let device = MmioDevice {
        name: text("UART"),
        resources: [MmioResource {
            user_vm_pa: Gpa(0xf0000000),
            host_pa: Hpa(0x30000000),
            size: 0x1000,
            ..zeroed()
        }, zeroed(), zeroed()],
    };
    main.deassign_mmiodev(vm_2, &device)?;

    // main#25: add_vdev(vm=VmId(2), id.vendor=0x8086, id.device=0x9d14, slot=0x28, args=<616263 … 0000000000000… 128 bytes>) = 0
    let device = VirtualDevice {
        id: VdevId {
            vendor: 0x8086,
            device: 0x9d14,
            ..zeroed()
        },
        slot: 40,
        args: bytes(&[0x61, 0x62, 0x63, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
        ..zeroed()
    };
    main.add_vdev(vm_2, &device)?;

    // main#26: remove_vdev(vm=VmId(2), id.vendor=0x8086, id.device=0x9d14, slot=0x28, args=<616 … 0000… 128 bytes>) = -22 EINVAL
    let device = VirtualDevice {
        id: VdevId {
            vendor: 0x8086,
            device: 0x9d14,
            ..zeroed()
        },
        slot: 40,
        args: bytes(&[0x61, 0x62, 0x63, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]),
        ..zeroed()
    };
    let error = main.remove_vdev(vm_2, &device).unwrap_err();
    assert_eq!(error.rax, -22, "EINVAL: {error}");

    // main#27: setup_hv_npk_log(command=QUERY, loglevel=0xffff) = 0
    let mut log = NpkLog {
        command: raw(4 /* QUERY */),
        loglevel: 0xffff,
        ..zeroed()
    };
    main.setup_hv_npk_log(&mut log)?;
    assert_eq!(log.loglevel, 0);

    // main#28: profiling_ops(command=GET_VERSION) = 0
    let mut buffer = [0; 32];
    main.profiling_ops(arg(2 /* GET_VERSION */), &mut buffer)?;
    assert_eq!(buffer, [0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x2b, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00]);

    // main#29: get_hw_info() = {cpu_num=1}
    let expected = HwInfo {
        cpu_num: 1,
        ..zeroed()
    };
    assert_eq!(main.get_hw_info()?, expected);

    // main#30: initialize_trusty(size_of_this_struct=0x60, version=2, base_addr=0x1000, entry_p … pmb_key=<secret>) = -25 ENOTTY
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

    // main#31: save_restore_sworld_ctx() = -25 ENOTTY
    let error = main.save_restore_sworld_ctx().unwrap_err();
    assert_eq!(error.rax, -25, "ENOTTY: {error}");

    // main#32: pm_get_px_count(command.kind=PX_COUNT, command.state=0, command.vcpu=VcpuId(0),  …  command.ignored=0) = -1 EPERM
    let error = main.pm_get_px_count(arg(0x2000000 /* {kind=PX_COUNT, state=0, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#33: pm_get_px_data(command.kind=PX_DATA, command.state=0, command.vcpu=VcpuId(0), co …  command.ignored=0) = -1 EPERM
    let error = main.pm_get_px_data(arg(0x2000000 /* {kind=PX_COUNT, state=0, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#34: pm_get_cx_count(command.kind=CX_COUNT, command.state=0, command.vcpu=VcpuId(0),  … Id(2), command.ignored=0) = {}
    let expected = 0;
    assert_eq!(main.pm_get_cx_count(arg(0x2000000 /* {kind=PX_COUNT, state=0, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */))?, expected);

    // main#35: pm_get_cx_data(command.kind=CX_DATA, command.state=1, command.vcpu=VcpuId(0), co …  command.ignored=0) = -1 EPERM
    let error = main.pm_get_cx_data(arg(0x2000100 /* {kind=PX_COUNT, state=1, vcpu=VcpuId(0), vm=VmId(2), ignored=0} */)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#36: tee_vcpu_boot_done(start=START_REE) = -25 ENOTTY
    let error = main.tee_vcpu_boot_done(arg(1 /* START_REE */)).unwrap_err();
    assert_eq!(error.rax, -25, "ENOTTY: {error}");

    // main#37: start_vm(vm=VmId(2)) = 0
    main.start_vm(vm_2)?;

    // main#38: pause_vm(vm=VmId(2)) = 0
    main.pause_vm(vm_2)?;

    // main#39: reset_vm(vm=VmId(2)) = 0
    main.reset_vm(vm_2)?;

    // main#40: pause_vm(vm=VmId(2)) = 0
    main.pause_vm(vm_2)?;

    // main#41: destroy_vm(vm=VmId(2)) = 0
    main.destroy_vm(vm_2)?;

    // main#42: profiling_ops(command=77) = -1 EPERM
    let mut buffer = [];
    let error = main.profiling_ops(arg(0x4d /* 77 */), &mut buffer).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

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
