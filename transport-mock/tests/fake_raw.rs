//! Hostile callers: whatever registers and memory hold, the fake answers, without a panic and before long.

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::acrn::VmId;
use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::server::{GuestMemory, Registers, Serve};
use hypercall_core::{Gpa, TransportError};
use hypercall_mock::fake::{FakeAcrn, FakeConfig, VmConfig};
use proptest::prelude::*;

/// Where parameters are put.
const BLOCK: u64 = 0x200_0000;

fn interesting() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0_u64..8,
        2 => Just(BLOCK),
        1 => Just(0x400_0000_u64),
        1 => Just(0x1100_0000_u64),
        1 => Just(0x10ff_f000_u64),
        1 => Just(0xfee0_0000_u64),
        1 => Just(0x4000_0000_u64),
        1 => Just(1 << 48),
        1 => Just(1 << 63),
        1 => Just(0xffff_ffff_ffff_f000_u64),
        1 => Just(u64::MAX),
        2 => (0_u64..64).prop_map(|shift| 1 << shift),
        1 => any::<u64>(),
        1 => any::<u64>().prop_map(|any| any & !0xfff),
    ]
}

#[derive(Clone, Debug)]
struct Call {
    number: u64,
    args: [u64; 2],
    block: Vec<u64>,
}

fn call() -> impl Strategy<Value = Call> {
    let numbers: Vec<u64> = HypervisorCalls::INTERFACE
        .calls
        .iter()
        .map(|call| call.number)
        .collect();
    let number = prop_oneof![
        12 => prop::sample::select(numbers),
        1 => any::<u64>(),
        1 => (0_u64..256).prop_map(|index| 0x8000_0000 | index),
    ];
    let first = prop_oneof![2 => Just(BLOCK), 3 => interesting()];
    let second = prop_oneof![3 => Just(BLOCK), 1 => interesting()];
    let block = prop::collection::vec(interesting(), 26);
    (number, first, second, block).prop_map(|(number, first, second, block)| Call {
        number,
        args: [first, second],
        block,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_panics(calls in prop::collection::vec(call(), 1..40)) {
        let fake = FakeAcrn::with_config(FakeConfig {
            pcpus: 3,
            vms: vec![VmConfig::service_vm(7), VmConfig::user_vm("POST_STD_VM1", 7)],
            ..FakeConfig::default()
        });
        let server = AcrnServer::new(&fake);
        for call in &calls {
            let mut block = call.block.clone();
            // An array has as many elements as its header says: millions of them end, but not in a test's time.
            block[1] %= 64;
            let bytes: Vec<u8> = block.iter().flat_map(|word| word.to_le_bytes()).collect();
            fake.write_memory(VmId::SERVICE_VM, Gpa(BLOCK), &bytes);
            let registers = Registers { number: call.number, args: call.args };
            match server.serve(registers, &fake) {
                Ok(rax) => prop_assert!((-110..=0).contains(&rax), "{registers:?} answers {rax}"),
                Err(TransportError::Dead(hazard)) => {
                    prop_assert_eq!(fake.down(), Some(hazard));
                    fake.reset();
                }
                Err(other) => prop_assert!(false, "{registers:?}: {other}"),
            }
        }
        // Memory is looked at as well.
        let mut bytes = [0; 64];
        let _ = GuestMemory::read(&fake, u64::MAX - 8, &mut bytes);
        fake.read_memory(VmId(1), Gpa(u64::MAX - 8), &mut bytes);
        fake.write_memory(VmId(1), Gpa(u64::MAX - 8), &bytes);
    }
}

/// A loopback over memory that swallows what is written must not make answers up.
#[test]
fn a_loopback_over_memory_that_keeps_nothing_says_so() {
    use hypercall_core::acrn::Hypervisor as _;
    use hypercall_core::{Client, ErrorKind, Gpa, TransportError};
    use hypercall_mock::loopback::Loopback;

    for start in [0, 0x1_0000_0000_0000] {
        let acrn = FakeAcrn::new();
        let server = hypercall_core::acrn::server::AcrnServer::new(&acrn);
        let client = Client::new(Loopback::new(server, &acrn, Gpa(start), 0x1000));
        let error = client.get_api_version().unwrap_err();
        assert!(
            matches!(
                error.kind,
                ErrorKind::Transport(TransportError::Unsupported(_))
            ),
            "{start:#x}: {error}"
        );
    }
}
