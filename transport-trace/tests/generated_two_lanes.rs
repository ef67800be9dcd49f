//! 14 recorded calls as a test. Generated; from here on it is yours.

#![cfg_attr(rustfmt, rustfmt_skip)]
#![allow(unused_imports, unused_mut, clippy::unreadable_literal)]

use hypercall_core::acrn::*;
use hypercall_core::{Client, Error, ErrorKind, Gpa, Hpa, PageAligned, Payload, SharedPage, SharedRef, Value};
use hypercall_trace::replay::Replayer;

/// The calls with their answers.
const TRACE: &[u8] = include_bytes!("data/two_lanes.hct");

static PAGE_DEVICE_MODEL_0: SharedPage = SharedPage::new();

#[test]
fn two_lanes() -> Result<(), Box<dyn std::error::Error>> {
    let replayer = Replayer::options().from_bytes(TRACE)?;
    let _told = TellsWhereItLeft(&replayer);
    let boot_lane = replayer.lane("boot");
    let boot = Client::new(&boot_lane);
    let device_model_lane = replayer.lane("device-model");
    let device_model = Client::new(&device_model_lane);

    // boot#0: create_vm(vmid=VmId(0xffff), name="turns", cpu_affinity=PcpuSet(1)) = VmId(2)
    let mut creation = VmCreation {
        vmid: VmId(0xffff),
        name: text("turns"),
        cpu_affinity: PcpuSet(1),
        ..zeroed()
    };
    let vm_2 = boot.create_vm(&mut creation)?;
    assert_eq!(creation.vcpu_num, 1);

    // device-model#0: set_ioreq_buffer(vm=VmId(2), page=<page>) = 0
    device_model.set_ioreq_buffer(vm_2, (&PAGE_DEVICE_MODEL_0).into())?;

    // boot#1: set_memory_regions(vmid=VmId(2), mr_num=1, regions[0].prot=READ|WRITE|EXEC|WB, r … ), regions[0].size=0x2000) = 0
    boot.set_memory_regions(vm_2, &[MemoryRegion {
        prot: raw(71 /* READ|WRITE|EXEC|WB */),
        service_vm_gpa: Gpa(0x4000000),
        size: 0x2000,
        ..zeroed()
    }])?;

    // boot#2: start_vm(vm=VmId(2)) = 0
    boot.start_vm(vm_2)?;
    for _ in 0..3 {
        device_model_lane.note_pages()?;
    }

    // device-model#1: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = 0
    device_model.notify_request_finish(vm_2, VcpuId(0))?;

    // boot#3: set_irqline(vm=VmId(2), line.gsi=Gsi(3), line.op=LOW) = 0
    boot.set_irqline(vm_2, arg(0x100000003 /* {gsi=Gsi(3), op=LOW} */))?;
    device_model_lane.note_pages()?;

    // device-model#2: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = 0
    device_model.notify_request_finish(vm_2, VcpuId(0))?;

    // boot#4: set_irqline(vm=VmId(2), line.gsi=Gsi(1), line.op=LOW) = 0
    boot.set_irqline(vm_2, arg(0x100000001 /* {gsi=Gsi(1), op=LOW} */))?;

    // boot#5: initialize_trusty(size_of_this_struct=0x60, version=2, base_addr=0x1000, entry_p … pmb_key=<secret>) = -25 ENOTTY
    let param = TrustyBootParam {
        size_of_this_struct: 96,
        version: 2,
        base_addr: 0x1000,
        entry_point: 0x2000,
        mem_size: 0x1000,
        // rpmb_key is a secret.
        ..zeroed()
    };
    let error = boot.initialize_trusty(&param).unwrap_err();
    assert_eq!(error.rax, -25, "ENOTTY: {error}");

    // boot#6: pause_vm(vm=VmId(2)) = 0
    boot.pause_vm(vm_2)?;

    // boot#7: destroy_vm(vm=VmId(2)) = 0
    boot.destroy_vm(vm_2)?;

    // device-model#3: notify_request_finish(vm=VmId(2), vcpu=VcpuId(0)) = -1 EPERM
    let error = device_model.notify_request_finish(vm_2, VcpuId(0)).unwrap_err();
    assert_eq!(error.rax, -1, "EPERM: {error}");

    // device-model#4: asyncio_assign(vm=VmId(2), kind=PIO, addr=Gpa(0x600), fd=7) = ? (the hypervisor  … st (ACRN asyncio_is_conflict))
    let info = AsyncIoInfo {
        kind: raw(1 /* PIO */),
        addr: Gpa(0x600),
        fd: 7,
        ..zeroed()
    };
    let error = device_model.asyncio_assign(vm_2, &info).unwrap_err();
    assert_eq!(error.code(), None, "{error}");
    assert!(error.may_have_run());

    // boot#8: get_api_version() = ? (the hypervisor crashed: ASYNCIO_ASSIGN before the first S … st (ACRN asyncio_is_conflict))
    let error = boot.get_api_version().unwrap_err();
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
