//! Values of a call: compared, tied, given back.

use hypercall_core::acrn::*;
use hypercall_core::arg::Arg;
use hypercall_core::{Gpa, Transport};
use hypercall_trace::entry::{Argument, Entry};
use hypercall_trace::replay::{FieldDifference, Reason, Replayer};

use super::replay_support::*;
use super::{calls, lane, lines, set};

/// What the hypervisor left alone stays the program's: a value that is not compared does not become the recorded one.
#[test]
fn what_is_not_compared_is_not_overwritten() {
    let recorded = record(&lines);
    let options = Replayer::options()
        .ignore("create_vm", "cpu_affinity")
        .ignore("create_vm", "ioreq_buf");
    let (replayer, hypervisor) = lane(options, &recorded);
    let mut description = creation("one").with_cpu_affinity(PcpuSet(2));
    description.ioreq_buf = Gpa(0x77_0000);
    let vm = hypervisor.create_vm(&mut description).unwrap();
    assert_eq!(
        (description.cpu_affinity, description.ioreq_buf),
        (PcpuSet(2), Gpa(0x77_0000))
    );
    assert_eq!((description.vmid, description.vcpu_num), (vm, 1));
    assert!(replayer.divergence().is_none());
}

#[test]
fn addresses_are_tied() {
    let program = |world: &World| {
        let hypervisor = world.lane("main");
        let hypervisor = hypervisor.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor
            .set_memory_regions(vm, &[ram(0, 0x1000), ram(0x8000, 0x1000)])
            .unwrap();
    };
    let recorded = record(&program);
    let moved =
        |at: u64, service: u64| MemoryRegion::map(Gpa(at), Gpa(service), 0x1000, MemoryProt::RAM);

    // Other memory of the Service VM: tied, and kept.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x8000, 0x700_0000)])
        .unwrap();
    assert!(replayer.finish().is_ok());

    // Where the trace has two addresses, one does not do.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x8000, 0x900_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert!(
        matches!(
            &told.differences[0].reason,
            Reason::FoundIsTied { since: None, .. }
        ),
        "{told}"
    );
    assert_eq!(told.differences[0].field, "regions[1].service_vm_gpa");

    // Where a VM sees its memory is the program's choice: compared.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0x900_0000), moved(0x9000, 0x700_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    let [difference] = told.differences.as_slice() else {
        panic!("{told}")
    };
    assert_eq!(
        (difference.field.as_str(), &difference.reason),
        ("regions[1].gpa", &Reason::Value)
    );

    // Zero stands for itself, on either side.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
    hypervisor
        .set_memory_regions(vm, &[moved(0, 0), moved(0x8000, 0x700_0000)])
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].reason, Reason::Value, "{told}");
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let mut description = creation("one");
    description.ioreq_buf = Gpa(0x5000);
    hypervisor.create_vm(&mut description).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].field, "ioreq_buf", "{told}");
}

/// What a call tied holds for those after it, in both directions.
#[test]
fn later_uses_of_an_address_must_agree() {
    let map = |hypervisor: &dyn Hypervisor, services: [u64; 3]| {
        let vm = hypervisor.create_vm(&mut creation("one"))?;
        for (at, service) in (0..).zip(services) {
            let region = MemoryRegion::map(Gpa(at * 0x1000), Gpa(service), 0x1000, MemoryProt::RAM);
            hypervisor.set_memory_regions(vm, &[region])?;
        }
        Ok::<(), hypercall_core::Error>(())
    };
    let (one, two) = (0x400_0000, 0x500_0000);
    let recorded = record(&|world: &World| {
        map(&world.lane("main").hypervisor(), [one, two, one]).unwrap();
    });
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x10_0000]).unwrap();
    assert!(replayer.finish().is_ok());
    // Where the trace has one address, two do not do.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x30_0000]).unwrap_err();
    let told = replayer.divergence().unwrap();
    let [
        FieldDifference {
            reason:
                Reason::ExpectedIsTied {
                    to,
                    since: Some(since),
                },
            ..
        },
    ] = told.differences.as_slice()
    else {
        panic!("{told}")
    };
    assert_eq!((to.as_str(), since.index), ("Gpa(0x100000)", 1));
    // Where it has two, one does not.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x10_0000, 0x10_0000]).unwrap_err();
    let told = replayer.divergence().unwrap();
    assert!(
        matches!(&told.differences[0].reason, Reason::FoundIsTied { to, .. } if to == "Gpa(0x4000000)"),
        "{told}"
    );
    // Nor the two exchanged.
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    map(&hypervisor, [0x10_0000, 0x20_0000, 0x20_0000]).unwrap_err();
    assert!(replayer.divergence().is_some());
}

/// A VM's id inside a register's number is a name as well.
#[test]
fn a_vm_in_a_power_command_is_a_name() {
    let recorded = record(&|world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let vm = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, vm, 3).unwrap();
        let _ = hypervisor.pm_get_cx_count(PmCommand::new(vm));
    });
    let mut slice = recorded.clone();
    slice
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index == 0));
    let (replayer, hypervisor) = lane(Replayer::options(), &slice);
    set(&hypervisor, VmId(7), 3).unwrap();
    hypervisor.pm_get_cx_count(PmCommand::new(VmId(7))).unwrap();
    assert!(replayer.finish().is_ok());
    let (replayer, hypervisor) = lane(Replayer::options(), &slice);
    set(&hypervisor, VmId(7), 3).unwrap();
    hypervisor
        .pm_get_cx_count(PmCommand::new(VmId(6)))
        .unwrap_err();
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].field, "command.vm", "{told}");
}

#[test]
fn names_are_rewritten_in_answers() {
    // The slice begins behind the creation of VM 1; the live program calls that VM 2, and then creates one.
    let program = |world: &World| {
        let port = world.lane("main");
        let hypervisor = port.hypervisor();
        let first = hypervisor.create_vm(&mut creation("one")).unwrap();
        set(&hypervisor, first, 3).unwrap();
        let second = hypervisor.create_vm(&mut creation("two")).unwrap();
        set(&hypervisor, second, 4).unwrap();
        hypervisor
            .vm_gpa2hpa(second, &mut GpaToHpa::of(Gpa(0xfee0_0000)))
            .unwrap();
    };
    let mut recorded = record(&program);
    let ids: Vec<u64> = calls(&recorded).map(|call| call.registers()[0]).collect();
    recorded
        .entries
        .retain(|entry| !matches!(entry, Entry::Call(call) if call.index == 0));
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let second_id = VmId(u16::try_from(ids[3]).unwrap());
    set(&hypervisor, second_id, 3).unwrap();
    let second = hypervisor.create_vm(&mut creation("two")).unwrap();
    assert_ne!(second, second_id, "that name is taken");
    set(&hypervisor, second, 4).unwrap();
    let mut question = GpaToHpa::of(Gpa(0xfee0_0000));
    hypervisor.vm_gpa2hpa(second, &mut question).unwrap();
    assert_eq!(question.gpa, Gpa(0xfee0_0000));
    assert!(replayer.finish().is_ok());
}

#[test]
fn memory_that_does_not_fit_diverges() {
    let program = |world: &World| {
        let port = world.lane("main");
        let _ = port
            .hypervisor()
            .profiling_ops(ProfilingCommand(1), &mut [1; 64]);
    };
    let recorded = record(&program);
    for length in [63, 65] {
        let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
        hypervisor
            .profiling_ops(ProfilingCommand(1), &mut vec![1; length])
            .unwrap_err();
        let told = replayer.divergence().unwrap();
        assert_eq!(told.differences[0].reason, Reason::Length, "{told}");
    }
}

#[test]
fn secrets_are_compared_where_the_key_is_known() {
    let program = |world: &World| {
        let port = world.lane("main");
        let param = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [7; 64]);
        port.hypervisor().initialize_trusty(&param).unwrap_err();
    };
    let recorded = record(&program);
    let other = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [8; 64]);
    let same = TrustyBootParam::new(Gpa(0x1000), Gpa(0x2000), 0x1000, [7; 64]);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&other).unwrap_err().code(),
        Some(-25)
    );
    assert!(replayer.divergence().is_none());
    let (_, hypervisor) = lane(Replayer::options().secret_key(KEY), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&same).unwrap_err().code(),
        Some(-25)
    );
    let (replayer, hypervisor) = lane(Replayer::options().secret_key(KEY), &recorded);
    assert_eq!(
        hypervisor.initialize_trusty(&other).unwrap_err().code(),
        None
    );
    let told = replayer.divergence().unwrap();
    assert_eq!(told.differences[0].reason, Reason::Secret);
    // No part of the secret is in what is told.
    for text in [told.to_string(), serde_json::to_string(&told).unwrap()] {
        assert!(!text.contains("0707") && !text.contains("0808"), "{text}");
    }
}

/// Memory that only comes out may be longer than recorded, and not shorter.
#[test]
fn room_for_an_answer_is_needed() {
    let recorded = record(&vm_life);
    for (room, fits) in [(4, false), (8, true), (12, true)] {
        let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
        let mut memory = vec![0xee; room];
        let args = [Arg::Write(&mut memory), Arg::None];
        let answer = hypervisor
            .transport()
            .call(HypervisorCalls::GET_API_VERSION, args);
        assert_eq!(answer.is_ok(), fits, "{room}");
        if fits {
            assert_eq!(memory[..8], [1, 0, 0, 0, 0, 0, 0, 0]);
            assert!(
                memory[8..].iter().all(|byte| *byte == 0xee),
                "the rest is as it was"
            );
        } else {
            let told = replayer.divergence().unwrap();
            assert_eq!(told.differences[0].reason, Reason::Length);
        }
    }
}

/// Before clients overwrote the result of the call before, a block that was used again went into a trace with it.
#[test]
fn an_old_result_that_went_in_is_no_input() {
    let program = |world: &World| {
        let hypervisor = world.lane("main");
        let hypervisor = hypervisor.hypervisor();
        hypervisor.create_vm(&mut creation("one")).unwrap();
        hypervisor.create_vm(&mut creation("two")).unwrap();
    };
    let mut recorded = record(&program);
    let mut found = 0;
    for entry in &mut recorded.entries {
        if let Entry::Call(call) = entry
            && call.name() == "create_vm"
            && let [Argument::Block(block), _] = &mut call.args
        {
            block.before[..2].copy_from_slice(&3_u16.to_le_bytes());
            found += 1;
        }
    }
    assert_eq!(found, 2);
    let (replayer, hypervisor) = lane(Replayer::options(), &recorded);
    let mut description = creation("one");
    let one = hypervisor.create_vm(&mut description).unwrap();
    assert_eq!(description.vmid, one);
    description = VmCreation {
        vmid: one,
        ..creation("two")
    };
    let two = hypervisor.create_vm(&mut description).unwrap();
    assert_eq!(description.vmid, two);
    assert!(replayer.finish().is_ok(), "{:?}", replayer.divergence());
}
