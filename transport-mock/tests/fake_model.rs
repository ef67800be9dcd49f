//! The fake against a second model of names, slots and memory maps, written as plainly as possible: a list of slots, a
//! table of pages. Random sequences, every answer and the whole state compared after every step.

use std::collections::BTreeMap;

use hypercall_core::acrn::{
    GpaToHpa, Hypervisor, MemoryProt, MemoryRegion, MemoryRegionKind, VcpuId, VmCreation, VmFlags,
    VmId, VmName, WriteProtect,
};
use hypercall_core::{Error, ErrorKind, Gpa, SharedRef};
use hypercall_mock::fake::{FakeAcrn, VmState};
use proptest::prelude::*;

const PAGE: u64 = 4096;
const SLOTS: usize = 16;
const CONFIGURED: &str = "POST_STD_VM1";
/// Where the model's memory lies in the Service VM.
const SOURCE: u64 = 0x400_0000;
/// Not mapped in the Service VM.
const HOLE: u64 = 0x1100_0000;
const APIC: (u64, u64) = (0xfee00, 0x11c52);

#[derive(Clone, Debug)]
enum Step {
    Create {
        name: usize,
        flags: u64,
        affinity: u64,
    },
    Destroy(u16),
    Start(u16),
    Pause(u16),
    Reset(u16),
    Buffer {
        vm: u16,
        mapped: bool,
    },
    Notify {
        vm: u16,
        vcpu: u16,
    },
    Region {
        vm: u16,
        region: Region,
    },
    Translate {
        vm: u16,
        gpa: u64,
    },
    Protect {
        vm: u16,
        gpa: u64,
        set: bool,
    },
}

#[derive(Clone, Copy, Debug)]
struct Region {
    kind: u32,
    prot: u32,
    gpa: u64,
    source: u64,
    size: u64,
}

const NAMES: [&str; 6] = [
    CONFIGURED,
    "alpha",
    "beta",
    "sixteen letters!",
    "ACRN_Service_VM",
    "",
];

#[derive(Clone, Debug, Default)]
struct Slot {
    name: String,
    fixed: bool,
    state: Option<State>,
    vcpus: usize,
    buffer: bool,
    poisoned: bool,
    /// Guest page to host page; present pages only.
    pages: BTreeMap<u64, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Created,
    Running,
    Paused,
}

struct Model {
    slots: Vec<Slot>,
}

type Answer = Result<u64, i64>;

impl Model {
    fn new() -> Self {
        let mut slots = vec![Slot::default(); SLOTS];
        slots[0].name = "ACRN_Service_VM".into();
        slots[1].name = CONFIGURED.into();
        for slot in &mut slots[..2] {
            slot.fixed = true;
        }
        slots[0].state = Some(State::Running);
        Self { slots }
    }

    fn slot(&mut self, vm: u16) -> Result<&mut Slot, i64> {
        self.slots.get_mut(usize::from(vm)).ok_or(-25)
    }

    fn apply(&mut self, step: &Step) -> Answer {
        match step {
            Step::Create {
                name,
                flags,
                affinity,
            } => self.create(NAMES[*name], *flags, *affinity),
            Step::Destroy(vm) => {
                let slot = self.slot(*vm)?;
                if slot.state != Some(State::Paused) {
                    return Err(-1);
                }
                let (fixed, poisoned, name) = (slot.fixed, slot.poisoned, slot.name.clone());
                *slot = Slot {
                    fixed,
                    poisoned,
                    ..Slot::default()
                };
                if fixed {
                    slot.name = name;
                }
                Ok(0)
            }
            Step::Start(vm) => {
                let slot = self.slot(*vm)?;
                if slot.state != Some(State::Created) || !slot.buffer {
                    return Err(-1);
                }
                slot.state = Some(State::Running);
                Ok(0)
            }
            Step::Pause(vm) => {
                let slot = self.slot(*vm)?;
                slot.state.ok_or(-1)?;
                slot.state = Some(State::Paused);
                Ok(0)
            }
            Step::Reset(vm) => {
                let slot = self.slot(*vm)?;
                if slot.state != Some(State::Paused) {
                    return Err(-1);
                }
                slot.state = Some(State::Created);
                Ok(0)
            }
            Step::Buffer { vm, mapped } => {
                let slot = self.slot(*vm)?;
                if slot.state != Some(State::Created) {
                    return Err(-1);
                }
                slot.buffer = *mapped;
                if *mapped { Ok(0) } else { Err(-1) }
            }
            Step::Notify { vm, vcpu } => {
                let slot = self.slot(*vm)?;
                if slot.state.is_none() || !slot.buffer || usize::from(*vcpu) >= slot.vcpus {
                    return Err(-1);
                }
                Ok(0)
            }
            Step::Region { vm, region } => self.region(*vm, region),
            Step::Translate { vm, gpa } => {
                let slot = self.slot(*vm)?;
                slot.state.ok_or(-1)?;
                let page = slot.pages.get(&(gpa / PAGE)).ok_or(-1)?;
                Ok(page * PAGE + gpa % PAGE)
            }
            Step::Protect { vm, gpa, .. } => {
                let slot = self.slot(*vm)?;
                slot.state.ok_or(-1)?;
                match slot.pages.get(&(gpa / PAGE)) {
                    Some(page) if gpa % PAGE == 0 && !(0x11000..0x11e00).contains(page) => Ok(0),
                    _ => Err(-22),
                }
            }
        }
    }

    fn create(&mut self, name: &str, flags: u64, affinity: u64) -> Answer {
        let named = self
            .slots
            .iter()
            .position(|slot| !name.is_empty() && slot.name == name);
        let free = self
            .slots
            .iter()
            .position(|slot| slot.name.is_empty() && !slot.fixed);
        let at = named.or(free).ok_or(-25)?;
        let slot = &mut self.slots[at];
        if named.is_none() {
            slot.name = name.into();
        }
        let passthrough_without_rt = flags & 0x12 == 2;
        let outcome = if slot.state.is_some() || passthrough_without_rt {
            Err(-1)
        } else if slot.poisoned || flags & 1 != 0 {
            slot.poisoned = true;
            Err(0)
        } else {
            slot.state = Some(State::Created);
            // One processor: the configuration's, or the one that was asked for.
            slot.vcpus = usize::from(slot.fixed || affinity != 0);
            slot.buffer = false;
            slot.pages.clear();
            if slot.vcpus > 0 {
                slot.pages.insert(APIC.0, APIC.1);
            }
            if slot.name.is_empty() {
                slot.name = format!("ACRN VM_{at}");
            }
            Ok(at as u64)
        };
        if outcome.is_err() && !slot.fixed {
            slot.name.clear();
        }
        outcome
    }

    fn region(&mut self, vm: u16, region: &Region) -> Answer {
        let slot = self.slot(vm)?;
        slot.state.ok_or(-1)?;
        if !region.size.is_multiple_of(PAGE) {
            return Err(-22);
        }
        let count = region.size / PAGE;
        let first = region.gpa.div_ceil(PAGE);
        if region.kind == 0 {
            let top = region.source + region.size;
            if count > 0 && region.source < 0x11e0_0000 && top > HOLE {
                return Err(-22);
            }
            if region.prot & 7 != 0 {
                for distance in 0..count {
                    let host = region.source.div_ceil(PAGE) + distance;
                    slot.pages.entry(first + distance).or_insert(host);
                }
            }
            return Ok(0);
        }
        let mapped =
            (0..count).all(|distance| slot.pages.contains_key(&(region.gpa / PAGE + distance)));
        if !mapped {
            return Err(-22);
        }
        for distance in 0..count {
            slot.pages.remove(&(first + distance));
        }
        Ok(0)
    }
}

fn call(fake: &FakeAcrn, step: &Step) -> Answer {
    let vm = |vm: &u16| VmId(*vm);
    let code = |result: Result<(), Error>| result.map(|()| 0);
    let result = match step {
        Step::Create {
            name,
            flags,
            affinity,
        } => {
            let mut bytes = [0; 16];
            bytes[..NAMES[*name].len()].copy_from_slice(NAMES[*name].as_bytes());
            let mut creation =
                VmCreation::new(VmName(bytes)).with_flags(VmFlags::from_bits_retain(*flags));
            creation.cpu_affinity.0 = *affinity;
            fake.create_vm(&mut creation).map(|vm| u64::from(vm.0))
        }
        Step::Destroy(id) => code(fake.destroy_vm(vm(id))),
        Step::Start(id) => code(fake.start_vm(vm(id))),
        Step::Pause(id) => code(fake.pause_vm(vm(id))),
        Step::Reset(id) => code(fake.reset_vm(vm(id))),
        Step::Buffer { vm: id, mapped } => {
            let page = if *mapped { 0x200_4000 } else { HOLE };
            code(fake.set_ioreq_buffer(vm(id), SharedRef::Address(Gpa(page))))
        }
        Step::Notify { vm: id, vcpu } => code(fake.notify_request_finish(vm(id), VcpuId(*vcpu))),
        Step::Region { vm: id, region } => code(fake.set_memory_regions(
            vm(id),
            &[MemoryRegion {
                kind: MemoryRegionKind(region.kind),
                prot: MemoryProt::from_bits_retain(region.prot),
                gpa: Gpa(region.gpa),
                service_vm_gpa: Gpa(region.source),
                size: region.size,
            }],
        )),
        Step::Translate { vm: id, gpa } => fake
            .vm_gpa2hpa(vm(id), &mut GpaToHpa::of(Gpa(*gpa)))
            .map(|hpa| hpa.0),
        Step::Protect { vm: id, gpa, set } => {
            let page = if *set {
                WriteProtect::protect(Gpa(*gpa))
            } else {
                WriteProtect::unprotect(Gpa(*gpa))
            };
            code(fake.write_protect_page(vm(id), &page))
        }
    };
    result.map_err(|error| match error.kind {
        ErrorKind::Refused => error.rax,
        ErrorKind::Rejected(_) => 0,
        other => panic!("{step:?} came to {other:?}"),
    })
}

fn compare(fake: &FakeAcrn, model: &Model) {
    let names: Vec<String> = model.slots.iter().map(|slot| slot.name.clone()).collect();
    assert_eq!(fake.names(), names);
    for (id, slot) in (0_u16..).zip(&model.slots).skip(1) {
        let state = match slot.state {
            None => VmState::PoweredOff,
            Some(State::Created) => VmState::Created,
            Some(State::Running) => VmState::Running,
            Some(State::Paused) => VmState::Paused,
        };
        assert_eq!(fake.state(VmId(id)), state, "VM {id}");
        let view = fake.vm(VmId(id)).unwrap();
        if slot.state.is_some() {
            assert_eq!(view.vcpus.len(), slot.vcpus);
            assert_eq!(view.request_page.is_some(), slot.buffer);
            let mut pages = BTreeMap::new();
            for mapping in fake.mappings(VmId(id)) {
                for distance in 0..mapping.size / PAGE {
                    pages.insert(
                        mapping.gpa.0 / PAGE + distance,
                        mapping.hpa.0 / PAGE + distance,
                    );
                }
            }
            assert_eq!(pages, slot.pages, "VM {id}");
        }
    }
}

fn address() -> impl Strategy<Value = u64> {
    let offset = prop_oneof![4 => Just(0_u64), 1 => Just(1), 1 => Just(0x123), 1 => Just(0xfff)];
    (0_u64..24, offset).prop_map(|(page, offset)| page * PAGE + offset)
}

fn region() -> impl Strategy<Value = Region> {
    let size = prop_oneof![8 => (0_u64..8).prop_map(|pages| pages * PAGE), 1 => Just(0x800), 1 => Just(0x1001)];
    let source = prop_oneof![
        8 => address().prop_map(|offset| SOURCE + offset),
        1 => Just(HOLE),
        1 => Just(HOLE - 0x40_0000),
    ];
    let kind = prop_oneof![4 => Just(0_u32), 2 => Just(2), 1 => Just(3), 1 => Just(1)];
    let prot = prop_oneof![4 => Just(0x47_u32), 1 => Just(0x41), 1 => Just(0x44), 1 => Just(0x40), 1 => Just(0x107)];
    (kind, prot, address(), source, size).prop_map(|(kind, prot, gpa, source, size)| Region {
        kind,
        prot,
        gpa,
        source,
        size,
    })
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly the ids that get used; 0 is the caller, which must not be paused.
    let vm = || prop_oneof![8 => 1_u16..5, 1 => 5_u16..16, 1 => Just(16_u16), 1 => Just(0xffff)];
    let flags = prop_oneof![8 => Just(0_u64), 1 => Just(0x10), 1 => Just(0x12), 1 => Just(2), 1 => Just(1), 1 => Just(!3)];
    prop_oneof![
        4 => (0..NAMES.len(), flags, 0_u64..2)
            .prop_map(|(name, flags, affinity)| Step::Create { name, flags, affinity }),
        2 => vm().prop_map(Step::Destroy),
        3 => (vm(), any::<bool>()).prop_map(|(vm, mapped)| Step::Buffer { vm, mapped }),
        2 => vm().prop_map(Step::Pause),
        1 => vm().prop_map(Step::Reset),
        2 => vm().prop_map(Step::Start),
        1 => (vm(), 0_u16..3).prop_map(|(vm, vcpu)| Step::Notify { vm, vcpu }),
        8 => (vm(), region()).prop_map(|(vm, region)| Step::Region { vm, region }),
        2 => (vm(), address()).prop_map(|(vm, gpa)| Step::Translate { vm, gpa }),
        1 => (vm(), address(), any::<bool>()).prop_map(|(vm, gpa, set)| Step::Protect { vm, gpa, set }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_fake_and_the_model_agree(steps in prop::collection::vec(step(), 1..80)) {
        let fake = FakeAcrn::new();
        let mut model = Model::new();
        for step in &steps {
            // A VM without vCPUs crashes the hypervisor when it starts: another test's matter.
            if let Step::Start(vm) = step
                && model.slots.get(usize::from(*vm)).is_some_and(|slot| slot.vcpus == 0)
            {
                continue;
            }
            let before = model.slots.clone();
            let expected = model.apply(step);
            prop_assert_eq!(call(&fake, step), expected, "{:?} on {:?}", step, before);
            compare(&fake, &model);
        }
    }
}
