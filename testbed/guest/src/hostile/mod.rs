//! A hypervisor that answers nonsense: what a client can detect is a typed error, never a wrong value taken for good. What
//! it cannot detect is looked at here too, and said in docs/ring0.md.
//!
//! Every call of the interface is answered wrongly in every way, so that no shape of argument and no way in which a result is
//! read is left out; an interface of the guest's own has what ACRN's has not, results in RAX.

mod beyond;
mod every_call;

use bare::control::{Answer, Command, command};
use bare::line;
use hypercall_conformance::Lent;
use hypercall_core::acrn::vm::Vm;
use hypercall_core::acrn::{
    ApiVersion, GpaToHpa, Hypervisor, HypervisorCalls as Calls, PcpuId, PcpuSet, SwitchRefused,
    TeeBoot, TeeReply, TrustyBootParam, VmCreation, VmId, VmName, WorldMessage, WorldSwitch,
};
use hypercall_core::call::{CallInfo, CodeInfo, ResultInfo};
use hypercall_core::{
    Client, Error, ErrorKind, Gpa, Hpa, Payload, RAX_UNWRITTEN, SharedPage, TransportError,
    interface,
};

use every_call::every_call;

use crate::Way;
use crate::checks::Checks;

const GARBAGE: i64 = 0x5a5a_5a5a_5a5a_5a5a;
const SHORT_CODE: i64 = 0xffff_ffff;
const VM: VmId = VmId(1);
/// Of the lent pages, two that nobody uses now: the second lies behind the first.
const KEPT: usize = 8;

const CODES: &[CodeInfo] = &[];

/// Results in RAX, which no call of ACRN's has.
#[interface(codes = CODES, crate = ::hypercall_core)]
trait InRax {
    #[call(0x8000_00e0, result = rax)]
    fn byte(&self) -> Result<u8, Error>;
    #[call(0x8000_00e1, result = rax)]
    fn word(&self) -> Result<u32, Error>;
    #[call(0x8000_00e2, result = rax)]
    fn long(&self) -> Result<u64, Error>;
}

/// Runs something while the hypervisor answers so.
fn under<R>(answer: Answer, run: impl FnOnce() -> R) -> R {
    command(Command::Answer, answer as u16);
    let result = run();
    command(Command::Answer, Answer::Honest as u16);
    result
}

fn nonsense<T>(result: Result<T, Error>, rax: i64) -> bool {
    result.is_err_and(|error| error.kind == ErrorKind::Nonsense && error.rax == rax)
}

fn rejected<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| matches!(error.kind, ErrorKind::Rejected(_)))
}

fn lost<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| matches!(error.kind, ErrorKind::Transport(TransportError::Lost(_))))
}

/// Makes every call while the hypervisor answers so. Whether each gave what it should; a line names each that did not.
fn all(
    h: &Client<Way>,
    page: &'static SharedPage,
    answer: Answer,
    expected: impl Fn(&'static CallInfo, Result<(), Error>) -> bool,
) -> bool {
    let outcomes = under(answer, || every_call(h, page));
    let mut fine = outcomes.len() == Calls::INTERFACE.calls.len();
    for (number, (call, outcome)) in outcomes.into_iter().enumerate() {
        let right = call.index == number && expected(call, outcome);
        if !right {
            line!("      {}: {outcome:?}", call.name);
        }
        fine &= right;
    }
    fine
}

pub fn run(checks: &mut Checks, h: &Client<Way>, lent: Lent) {
    line!("== a hypervisor that answers nonsense");
    let Some(page) = lent.pages.get(KEPT) else {
        checks.check("memory for this check", false);
        return;
    };
    rax(checks, h, page);
    memory(checks, h, page);
    wrong_vm(checks, h);
    in_rax(checks, h);
    worlds(checks, h.transport());
    beyond::run(checks, h, lent);
}

/// RAX that is no answer, or an error although memory was written.
fn rax(checks: &mut Checks, h: &Client<Way>, page: &'static SharedPage) {
    for (what, answer, rax) in [
        ("garbage in RAX", Answer::Garbage, GARBAGE),
        (
            "-1 that is not sign-extended",
            Answer::ShortCode,
            SHORT_CODE,
        ),
        (
            "RAX that is not written",
            Answer::RaxUnwritten,
            RAX_UNWRITTEN,
        ),
    ] {
        let fine = all(h, page, answer, |call, outcome| {
            // Its RAX is the first request's, whatever it is.
            if call == Calls::TEE_VCPU_BOOT_DONE && rax != RAX_UNWRITTEN {
                lost(outcome)
            } else {
                nonsense(outcome, rax)
            }
        });
        checks.check(
            format_args!("{what}: nonsense, with RAX as it came, for every call"),
            fine,
        );
    }
    let fine = all(h, page, Answer::RefusedButWritten, |call, outcome| {
        if call == Calls::TEE_VCPU_BOOT_DONE {
            lost(outcome)
        } else {
            outcome.is_err_and(|error| error.code() == Some(-22))
        }
    });
    checks.check(
        "an error code after memory was written: every call is refused",
        fine,
    );
}

/// 0 in RAX, and memory that says otherwise.
fn memory(checks: &mut Checks, h: &Client<Way>, page: &'static SharedPage) {
    for (what, answer) in [
        ("no memory was written", Answer::Unwritten),
        ("memory is all ones", Answer::Ones),
        ("memory is full of a byte that means nothing", Answer::Noise),
    ] {
        let fine = all(h, page, answer, |call, outcome| {
            match (call.number, &call.result) {
                // No message came, or one that nobody sent: there is no room for it here.
                (0x8000_0070 | 0x8000_0090, _) => lost(outcome),
                (_, ResultInfo::Yielded { .. }) => rejected(outcome),
                // Nothing but RAX says whether it was done; any bytes are a plain result.
                _ => outcome.is_ok(),
            }
        });
        checks.check(
            format_args!("0, but {what}: what is read from memory and can be checked is rejected"),
            fine,
        );
        let version = under(answer, || h.get_api_version());
        checks.check(
            format_args!("0, but {what}: a version is one that nobody supports"),
            version.is_ok_and(|version| !version.supports(ApiVersion::KNOWN)),
        );
    }
    // Not detected: a block that only goes out is zero when nobody writes it, and any bytes are a possible answer.
    let info = under(Answer::Unwritten, || h.get_hw_info());
    checks.check(
        "0, but no memory was written: other results are zeros (not detected)",
        info.is_ok_and(|info| info.cpu_num == 0),
    );
    let info = under(Answer::Noise, || h.get_hw_info());
    checks.check(
        "0, but memory is full of a byte: other results are that (not detected)",
        info.is_ok_and(|info| info.cpu_num == 0xa5a5),
    );
    let mut question = GpaToHpa {
        hpa: Hpa(0x123_4000),
        ..GpaToHpa::of(Gpa(0))
    };
    let mut creation = VmCreation {
        vmid: VmId(3),
        ..VmCreation::new(name())
    };
    let (translated, created) = under(Answer::Unwritten, || {
        (h.vm_gpa2hpa(VM, &mut question), h.create_vm(&mut creation))
    });
    checks.check(
        "0, but no memory was written: the old result of a block that is used again is rejected",
        rejected(translated) && rejected(created),
    );
}

/// A VM that was not asked for.
fn wrong_vm(checks: &mut Checks, h: &Client<Way>) {
    let create = |id: u16| {
        command(Command::WrongVm, id);
        let mut creation = VmCreation::new(name());
        under(Answer::WrongVm, || {
            let plain = h.create_vm(&mut creation);
            let handle = Vm::create(h, &VmCreation::new(name()), PcpuSet::of(&[PcpuId(0)]));
            let handle = handle.map(|vm| vm.id()).map_err(|failed| failed.error);
            (plain, handle, creation.vmid == VmId(id))
        })
    };
    for id in [0, 16, 0xff, 0x100, 0x8001, 0xffff] {
        let (plain, handle, kept) = create(id);
        checks.check(
            format_args!("{id:#x} as the id of a new VM: rejected, by the handle too"),
            rejected(plain) && rejected(handle) && kept,
        );
    }
    command(Command::WrongVm, 5);
    let plain = under(Answer::WrongVm, || {
        h.create_vm(&mut VmCreation::new(name()))
    });
    checks.check(
        "another VM's id for a new VM: taken (not detected)",
        plain == Ok(VmId(5)),
    );
}

/// Results that are RAX itself.
fn in_rax(checks: &mut Checks, h: &Client<Way>) {
    let unwritten = under(Answer::RaxUnwritten, || {
        nonsense(h.byte(), RAX_UNWRITTEN)
            && nonsense(h.word(), RAX_UNWRITTEN)
            && nonsense(h.long(), RAX_UNWRITTEN)
    });
    checks.check("a result in RAX that is not written: nonsense", unwritten);
    let garbage = under(Answer::Garbage, || {
        nonsense(h.byte(), GARBAGE) && nonsense(h.word(), GARBAGE)
    });
    checks.check(
        "a result in RAX that its type cannot hold: nonsense",
        garbage && under(Answer::ShortCode, || nonsense(h.byte(), SHORT_CODE)),
    );
    let refused = under(Answer::RefusedButWritten, || h.long());
    checks.check(
        "a code in RAX where a result is: refused",
        refused.is_err_and(|error| error.code() == Some(-22)),
    );
    checks.check(
        "a result in RAX that its type can hold: taken (not detected)",
        under(Answer::Garbage, || h.long()) == Ok(GARBAGE.cast_unsigned())
            && under(Answer::ShortCode, || h.word()) == Ok(0xffff_ffff),
    );
}

/// The calls that return with a message.
fn worlds(checks: &mut Checks, way: &Way) {
    let param = TrustyBootParam::zeroed();
    for (answer, rax) in [
        (Answer::Garbage, GARBAGE),
        (Answer::RaxUnwritten, RAX_UNWRITTEN),
    ] {
        let refused = SwitchRefused { rax };
        let fine = under(answer, || {
            way.switch_world(WorldMessage::default()) == Err(refused)
                && nonsense(way.start_secure_world(&param), rax)
        });
        checks.check(
            format_args!("a world switch with RAX {rax:#x}: no message is taken"),
            fine,
        );
    }
    let unwritten = under(Answer::RaxUnwritten, || {
        nonsense(way.tee_boot_done(TeeBoot::START_REE), RAX_UNWRITTEN)
            && way.switch_to_ree(TeeReply::default()) == Err(SwitchRefused { rax: RAX_UNWRITTEN })
    });
    checks.check(
        "a request whose RAX is not written: none is taken",
        unwritten,
    );
    let message = WorldMessage {
        rdi: 1,
        ..WorldMessage::default()
    };
    checks.check(
        "0, but the worlds did not switch: the caller's own message comes back (not detected)",
        under(Answer::Unwritten, || way.switch_world(message)) == Ok(message),
    );
}

fn name() -> VmName {
    hypercall_conformance::Options::RECORDED.vm
}
