//! The world switches: a secure world that runs beside this one, and messages both ways.

use core::sync::atomic::{AtomicU64, Ordering};

use bare::control::{Command, Role, command};
use bare::line;
use hypercall_conformance::Lent;
use hypercall_core::acrn::{
    Hypervisor, SwitchRefused, TeeRequest, TrustyBootParam, WORLD_SWITCH, WorldMessage, WorldSwitch,
};
use hypercall_core::{Client, Error, ErrorKind, Gpa, TransportError};
use hypercall_vmcall::detect;

use crate::checks::Checks;
use crate::probe::{Probe, across};
use crate::{Way, way};

/// What the secure world got with its last message, put together.
static SEEN: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

const FIRST: WorldMessage = WorldMessage {
    rdi: 0x11,
    rsi: 0x22,
    rdx: 0x33,
    rbx: 0x44,
};

/// The secure world's first message.
const SECURE: WorldMessage = WorldMessage {
    rdi: 1,
    rsi: 2,
    rdx: 3,
    rbx: 4,
};

pub fn run(checks: &mut Checks, way: &Way, lent: Lent) {
    line!("== two worlds");
    let refused = way.switch_world(FIRST);
    checks.check(
        "without a secure world: -25",
        refused == Err(SwitchRefused { rax: -25 }),
    );
    command(Command::Reset, Role::SecureVm as u16);
    let refused = way.switch_world(FIRST);
    checks.check(
        "before it started: -1",
        refused == Err(SwitchRefused { rax: -1 }),
    );
    let version = Client::new(*way).get_api_version();
    checks.check(
        "a call of the Service VM: -25",
        version.is_err_and(|error| error.code() == Some(-25)),
    );

    // The last 16 pages that are lent are its memory.
    let base = Gpa(lent.gpa.0 + 48 * 4096);
    let entry = Gpa((secure_world as *const ()).expose_provenance() as u64);
    let param = TrustyBootParam::new(base, entry, 16 * 4096, [0x77; 64]);
    let client = Client::new(*way);
    let (lost, kept) = across(|| client.initialize_trusty(&param));
    checks.check(
        "the secure world starts, and its message has no room in the interface's call: an error says so",
        lost.is_err_and(|error| matches!(error.kind, ErrorKind::Transport(TransportError::Lost(_)))),
    );
    checks.check("what the caller kept is as it was", kept);
    command(Command::Reset, Role::SecureVm as u16);
    let (message, kept) = start(way, &param);
    checks.check(
        "the secure world starts, and its first message comes: all four registers",
        message == Ok(SECURE),
    );
    checks.check("what the caller kept is as it was", kept);
    checks.check(
        "it starts once: -1",
        way.start_secure_world(&param)
            .is_err_and(|error| error.code() == Some(-1)),
    );

    for round in 1..=3_u64 {
        let message = WorldMessage {
            rdi: round,
            rsi: round << 32,
            rdx: !round,
            rbx: round * 1000,
        };
        let answer = way.switch_world(message);
        let seen = [0, 1, 2, 3].map(|at: usize| SEEN[at].load(Ordering::Acquire));
        checks.check(
            format_args!("round {round}: the secure world got all four registers"),
            seen == [message.rdi, message.rsi, message.rdx, message.rbx],
        );
        let right = answer.is_ok_and(|answer| {
            answer.rdi == round + 1
                && answer.rsi == (round << 32) + 2
                && answer.rdx == !round ^ 0xff
                && answer.rbx == round * 1000 + 4
        });
        checks.check(
            format_args!("round {round}: and its answer came back"),
            right,
        );
    }
    let mut probe = Probe::new(WORLD_SWITCH, 70, 80);
    probe.run();
    let sent = probe.request();
    checks.check(
        "a switch with chosen values: four registers come back, the others and SSE state are intact",
        probe.became(TeeRequest {
            rax: 0,
            rdi: sent.rdi + 1,
            rsi: sent.rsi + 2,
            rdx: sent.rdx ^ 0xff,
            rbx: sent.rbx.wrapping_add(4),
            ..sent
        }),
    );
    command(Command::Reset, Role::ServiceVm as u16);
    checks.check(
        "afterwards: -25 again",
        way.switch_world(FIRST) == Err(SwitchRefused { rax: -25 }),
    );
}

/// Starts the secure world, which leaves a message in RDI, RSI, RDX and RBX, with values in all registers.
#[inline(never)]
fn start(way: &Way, param: &TrustyBootParam) -> (Result<WorldMessage, Error>, bool) {
    across(|| way.start_secure_world(param))
}

/// The secure world: answers each message with one that depends on it, by the same trait.
extern "sysv64" fn secure_world(_: u64) -> ! {
    let Ok(acrn) = detect() else {
        bare::exit::end(bare::exit::Verdict::Failed)
    };
    let way = way(acrn);
    let mut answer = SECURE;
    loop {
        let Ok(message) = way.switch_world(answer) else {
            bare::exit::end(bare::exit::Verdict::Failed)
        };
        let WorldMessage { rdi, rsi, rdx, rbx } = message;
        SEEN.iter()
            .zip([rdi, rsi, rdx, rbx])
            .for_each(|(place, value)| place.store(value, Ordering::Release));
        answer = WorldMessage {
            rdi: rdi + 1,
            rsi: rsi + 2,
            rdx: rdx ^ 0xff,
            rbx: rbx.wrapping_add(4),
        };
    }
}
