//! A trusted VM and a rich one: this guest is the trusted one, and starts the rich one, which makes requests.
//!
//! The call that starts the rich VM returns with its first request, in six registers. The interface's call has no room for it
//! and says so; the trait of the world switches has. Both are made, and so is every other call: by the typed trait, and with
//! every register looked at.

use bare::control::{Command, Role, SIGNATURE, command};
use bare::line;
use hypercall_conformance::Lent;
use hypercall_core::acrn::{
    Hypervisor, SWITCH_EE, SwitchRefused, TeeBoot, TeeReply, TeeRequest, WorldMessage, WorldSwitch,
};
use hypercall_core::{Client, Error, ErrorKind, TransportError};
use hypercall_vmcall::detect;

use crate::checks::Checks;
use crate::probe::{Probe, across};
use crate::{Way, way};

const BOOT_DONE: u64 = 0x8000_0090;
/// The first of the lent pages that are the rich VM's: code, and a stack.
const RICH_PAGE: usize = 48;

const FIRST: TeeRequest = TeeRequest {
    rax: 0xaaaa_0000_0000_0001,
    rcx: 0xcccc_0000_0000_0002,
    rdx: 0xdddd_0000_0000_0003,
    rbx: 0xbbbb_0000_0000_0004,
    rsi: 0x5151_0000_0000_0005,
    rdi: 0xd1d1_0000_0000_0006,
};

const fn reply(number: u64) -> TeeReply {
    TeeReply {
        rdi: number << 8 | 1,
        rsi: number << 16 | 2,
        rdx: !number,
        rbx: number << 40 | 4,
    }
}

/// The request that follows a reply.
const fn next(reply: TeeReply) -> TeeRequest {
    TeeRequest {
        rax: reply.rdi ^ 0x1111,
        rcx: reply.rsi ^ 0x2222,
        rdx: reply.rdx ^ 0x3333,
        rbx: reply.rbx ^ 0x4444,
        rsi: reply.rsi ^ 0x5555,
        rdi: reply.rdi ^ 0x6666,
    }
}

/// What the rich VM found, as bits of its last request's RAX.
const FOUND: [&str; 6] = [
    "the rich VM got the typed replies, and RAX was 0",
    "the rich VM got RDI, RSI, RDX and RBX; all its other registers, flags and SSE state are intact",
    "an interrupt for the trusted VM leaves all registers of the rich one alone",
    "a call of the Service VM by the rich VM: -25",
    "a call of the trusted VM by the rich VM: -25",
    "a switch between the worlds of one VM by the rich VM: -25",
];

pub fn run(checks: &mut Checks, way: &Way, lent: Lent) {
    line!("== a trusted VM and a rich one");
    // mov rax, rich_vm; jmp rax
    let mut code = [0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0];
    let rich_vm = (rich_vm as *const ()).expose_provenance() as u64;
    code[2..10].copy_from_slice(&rich_vm.to_le_bytes());
    let written = lent
        .pages
        .get(RICH_PAGE)
        .is_some_and(|page| page.write(0, &code).is_ok());
    checks.check("the rich VM is loaded", written);
    command(
        Command::RichVm,
        (lent.gpa.0 / 4096) as u16 + RICH_PAGE as u16,
    );
    command(Command::Reset, Role::TrustedVm as u16);

    let early = way.switch_to_ree(reply(9));
    checks.check(
        "before the rich VM runs: -22",
        early == Err(SwitchRefused { rax: -22 }),
    );
    let client = Client::new(*way);
    checks.check(
        "a call of the Service VM by the trusted VM: -25",
        has_no_such_call(client.get_api_version()),
    );
    checks.check(
        "a switch between the worlds of one VM by the trusted VM: -25",
        way.switch_world(WorldMessage::default()) == Err(SwitchRefused { rax: -25 }),
    );

    let (lost, kept) = across(|| client.tee_vcpu_boot_done(TeeBoot::START_REE));
    checks.check(
        "the rich VM starts, and its request has no room in the interface's call: an error says so",
        lost.is_err_and(|error| {
            matches!(error.kind, ErrorKind::Transport(TransportError::Lost(_)))
        }),
    );
    checks.check("what the caller kept is as it was", kept);
    command(Command::Reset, Role::TrustedVm as u16);

    let (request, kept) = start(way);
    checks.check(
        "the rich VM starts by the typed call, and its first request comes: all six registers",
        request == Ok(FIRST),
    );
    checks.check("what the caller kept is as it was", kept);
    command(Command::Reset, Role::TrustedVm as u16);

    let mut probe = Probe::new(BOOT_DONE, 1, 2);
    probe.run();
    checks.check(
        "the rich VM starts, and its first request comes: all six registers, the others intact",
        probe.became(FIRST),
    );
    for number in 1..=2 {
        let request = way.switch_to_ree(reply(number));
        checks.check(
            format_args!("reply {number}: the next request comes, all six registers"),
            request == Ok(next(reply(number))),
        );
    }
    let request = way.switch_to_ree(reply(3));
    checks.check(
        "a request with chosen values in every register",
        request == Ok(chosen().request()),
    );

    let mut probe = Probe::new(SWITCH_EE, reply(4).rdi, reply(4).rsi);
    probe.run();
    checks.check(
        "an interrupt while the rich VM runs: RDI says so, the other registers are old",
        probe.became(TeeRequest {
            rax: 0,
            rdi: TeeRequest::INTERRUPT_ENTRY,
            ..probe.request()
        }),
    );
    let found = way.switch_to_ree(TeeReply::interrupt_done());
    let found = found.map_or(0, |request| request.rax);
    for (bit, what) in FOUND.iter().enumerate() {
        checks.check(what, found >> bit & 1 != 0);
    }
    command(Command::Reset, Role::ServiceVm as u16);
    checks.check(
        "afterwards: -25",
        way.switch_to_tee(FIRST) == Err(SwitchRefused { rax: -25 })
            && has_no_such_call(way.tee_boot_done(TeeBoot::START_REE)),
    );
}

/// Starts the rich VM, whose first request is in six registers then, with values in all registers.
#[inline(never)]
fn start(way: &Way) -> (Result<TeeRequest, Error>, bool) {
    across(|| way.tee_boot_done(TeeBoot::START_REE))
}

fn has_no_such_call<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| error.code() == Some(-25))
}

/// The rich VM's request of which every register is looked at.
fn chosen() -> Probe {
    Probe::new(SWITCH_EE, 0x1234, 0x5678)
}

/// The rich VM. It is loaded into memory that it shares with the trusted one, and leaves what it found in its last
/// request.
extern "sysv64" fn rich_vm() -> ! {
    let Ok(acrn) = detect() else {
        bare::exit::end(bare::exit::Verdict::Failed)
    };
    let way = way(acrn);
    let mut typed = way.switch_to_tee(FIRST) == Ok(reply(1));
    typed &= way.switch_to_tee(next(reply(1))) == Ok(reply(2));
    typed &= way.switch_to_tee(next(reply(2))) == Ok(reply(3));

    let mut probe = chosen();
    probe.run();
    // What the trusted VM's registers were at its own probe.
    let sent = Probe::new(SWITCH_EE, reply(4).rdi, reply(4).rsi).request();
    let answered = probe.became(TeeRequest {
        rax: 0,
        rcx: probe.request().rcx,
        ..sent
    });

    // The interrupt comes when this instruction is done.
    let mut probe = Probe::new(0, 7, 8);
    probe.before[0] = u64::from(bare::control::LEAF);
    probe.before[2] = (Command::SecureInterrupt as u64) << 16;
    probe.run_cpuid();
    let [rbx, rcx, rdx] = SIGNATURE.map(u64::from);
    let left_alone = probe.became(TeeRequest {
        rax: probe.after[0],
        rcx,
        rdx,
        rbx,
        rsi: 8,
        rdi: 7,
    });

    let client = Client::new(way);
    let found = [
        typed,
        answered,
        left_alone,
        has_no_such_call(client.get_api_version()),
        has_no_such_call(client.tee_vcpu_boot_done(TeeBoot::START_REE)),
        way.switch_world(WorldMessage::default()) == Err(SwitchRefused { rax: -25 }),
    ];
    let bits = found
        .iter()
        .rev()
        .fold(0, |bits, found| bits << 1 | u64::from(*found));
    let _ = way.switch_to_tee(TeeRequest { rax: bits, ..FIRST });
    // Nobody answers the last request.
    bare::exit::end(bare::exit::Verdict::Failed)
}
