//! 12 recorded calls as a test. Generated; from here on it is yours.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]

use hypercall::acrn::*;
use hypercall::{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value};
use hypercall::trace::replay::Replayer;

/// The calls with their answers.
const TRACE: &[u8] = include_bytes!("field_run.hct");

static PAGE_MAIN_0: SharedPage = SharedPage::new();

#[test]
fn field_run() -> Result<(), Box<dyn std::error::Error>> {
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

    // main#1: create_vm(vmid=VmId(0xffff), name="demo", cpu_affinity=PcpuSet(1)) = VmId(2)
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("demo"),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let vm_2 = main.create_vm(&mut creation)?;
    assert_eq!(creation.vcpu_num, 1);

    // main#2: start_vm(vm=VmId(2)) = -1 EPERM
    let error = main.start_vm(vm_2).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // main#3: set_ioreq_buffer(vm=VmId(2), page=<page>) = 0
    main.set_ioreq_buffer(vm_2, (&PAGE_MAIN_0).into())?;

    // main#4: set_memory_regions(vmid=VmId(2), mr_num=1, regions[0].prot=READ|WRITE|EXEC|WB, r …  regions[0].size=0x100000) = 0
    main.set_memory_regions(vm_2, &[MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        service_vm_gpa: Gpa(0x4000000),
        size: 0x100000,
        ..zeroed()
    }])?;

    // main#5: start_vm(vm=VmId(2)) = 0
    main.start_vm(vm_2)?;
    main_lane.note_pages()?;

    // main#6: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = 0
    main.notify_request_finish(vm_2, VcpuId(0))?;
    main_lane.note_pages()?;

    // main#7: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = 0
    main.notify_request_finish(vm_2, VcpuId(0))?;
    main_lane.note_pages()?;

    // main#8: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = 0
    main.notify_request_finish(vm_2, VcpuId(0))?;

    // main#9: inject_msi(vm=VmId(2), address=MsiAddress(0xfee00000), data=MsiData(0x41)) = 0
    let msi = MsiEntry {
        address: MsiAddress(0xfee00000),
        data: MsiData(0x41),
    };
    main.inject_msi(vm_2, &msi)?;

    // main#10: pause_vm(vm=VmId(2)) = 0
    main.pause_vm(vm_2)?;

    // main#11: destroy_vm(vm=VmId(2)) = 0
    main.destroy_vm(vm_2)?;

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
fn bytes<T: hypercall::zerocopy::FromBytes>(from: &[u8]) -> T {
    let mut all = vec![0; size_of::<T>()];
    for (place, byte) in all.iter_mut().zip(from) {
        *place = *byte;
    }
    T::read_from_bytes(&all).unwrap_or_else(|_| T::new_zeroed())
}

fn text<T: hypercall::zerocopy::FromBytes>(from: &str) -> T {
    bytes(from.as_bytes())
}

/// A flag or a named number, as it is in memory.
fn raw<T: hypercall::zerocopy::FromBytes>(from: u64) -> T {
    bytes(&from.to_le_bytes())
}

fn zeroed<P: Payload>() -> P {
    P::zeroed()
}
