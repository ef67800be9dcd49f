//! A hypervisor that answers nonsense: what a client can detect is a typed error, never a wrong value taken for good. What
//! it cannot detect is looked at here too, and said in docs/ring0.md.

use bare::control::{Answer, Command, command};
use bare::line;
use hypercall_core::acrn::vm::Vm;
use hypercall_core::acrn::{
    ApiVersion, GpaToHpa, Hypervisor, IntrMonitor, LapicId, PcpuId, PcpuSet, VmCreation, VmId,
};
use hypercall_core::{Client, Error, ErrorKind, Gpa, PageAligned};

use crate::Way;
use crate::checks::Checks;

fn answer(answer: Answer) {
    command(Command::Answer, answer as u16);
}

fn nonsense<T>(result: Result<T, Error>, rax: i64) -> bool {
    result.is_err_and(|error| error.kind == ErrorKind::Nonsense && error.rax == rax)
}

fn rejected<T>(result: Result<T, Error>) -> bool {
    result.is_err_and(|error| matches!(error.kind, ErrorKind::Rejected(_)))
}

pub fn run(checks: &mut Checks, h: &Client<Way>) {
    line!("== a hypervisor that answers nonsense");
    for (what, kind, rax) in [
        ("garbage in RAX", Answer::Garbage, 0x5a5a_5a5a_5a5a_5a5a),
        (
            "-1 that is not sign-extended",
            Answer::ShortCode,
            0xffff_ffff,
        ),
    ] {
        answer(kind);
        let mut creation = VmCreation::new(name());
        let all = [
            nonsense(h.create_vcpu(VmId(1)), rax),
            nonsense(h.service_vm_offline_cpu(LapicId(1)), rax),
            nonsense(h.get_api_version(), rax),
            nonsense(h.create_vm(&mut creation), rax),
            nonsense(h.vm_gpa2hpa(VmId(1), &mut GpaToHpa::of(Gpa(0))), rax),
            nonsense(h.set_memory_regions(VmId(1), &[]), rax),
            nonsense(h.get_hw_info(), rax),
        ];
        answer(Answer::Honest);
        checks.check(
            format_args!("{what}: nonsense, with RAX as it came, for every shape of call"),
            all == [true; 7],
        );
    }

    answer(Answer::Unwritten);
    let mut creation = VmCreation::new(name());
    let created = h.create_vm(&mut creation);
    let translated = h.vm_gpa2hpa(VmId(1), &mut GpaToHpa::of(Gpa(0)));
    let version = h.get_api_version();
    let info = h.get_hw_info();
    answer(Answer::Honest);
    checks.check(
        "0, but no memory was written: a VM is rejected",
        rejected(created),
    );
    checks.check(
        "0, but no memory was written: a translation is rejected",
        rejected(translated),
    );
    checks.check(
        "0, but no memory was written: a version is one that nobody supports",
        version.is_ok_and(|version| !version.supports(ApiVersion::KNOWN)),
    );
    // Not detected: a block that only goes out is zero when nobody writes it.
    checks.check(
        "0, but no memory was written: other results are zeros (not detected)",
        info.is_ok_and(|info| info.cpu_num == 0),
    );

    answer(Answer::Ones);
    let mut creation = VmCreation::new(name());
    let created = h.create_vm(&mut creation);
    let version = h.get_api_version();
    answer(Answer::Honest);
    checks.check("ones in memory: a VM is rejected", rejected(created));
    checks.check(
        "ones in memory: a version is one that nobody supports",
        version.is_ok_and(|version| !version.supports(ApiVersion::KNOWN)),
    );

    answer(Answer::WrongVm);
    let plain = h.create_vm(&mut VmCreation::new(name()));
    let handle = Vm::create(h, &VmCreation::new(name()), PcpuSet::of(&[PcpuId(0)]));
    answer(Answer::Honest);
    checks.check(
        "the Service VM's id for a new VM: rejected",
        rejected(plain),
    );
    let found = handle.is_err_and(|failed| matches!(failed.error.kind, ErrorKind::Rejected(_)));
    checks.check(
        "the Service VM's id for a new VM: the handle rejects it",
        found,
    );

    answer(Answer::RefusedButWritten);
    let version = h.get_api_version();
    answer(Answer::Honest);
    checks.check(
        "an error code after memory was written: refused",
        version.is_err_and(|error| error.code() == Some(-22)),
    );

    beyond(checks, h);
}

/// A page of bytes, all of which may be looked at, unlike the padding of a block that is as long as a page.
#[repr(C, align(4096))]
struct Bytes([u8; 4096]);

fn beyond(checks: &mut Checks, h: &Client<Way>) {
    let vm = h.create_vm(&mut VmCreation::new(name()));
    let Ok(vm) = vm else {
        checks.check("a VM for the next check", false);
        return;
    };
    // The block is 392 bytes at the start of a page that nothing else is in: what is written beyond it harms nobody.
    let mut bytes = Bytes([0; 4096]);
    const { assert!(size_of::<PageAligned<IntrMonitor>>() == size_of::<Bytes>()) };
    // SAFETY: as long and as aligned as the page, all of which is initialized; any bytes are a block. The page is not used
    // otherwise while the reference lives.
    let block = unsafe { &mut *(&raw mut bytes).cast::<PageAligned<IntrMonitor>>() };
    block.0 = IntrMonitor::counters();
    answer(Answer::Beyond);
    let result = h.vm_intr_monitor(vm, block);
    answer(Answer::Honest);
    let byte = core::hint::black_box(&bytes).0[size_of::<IntrMonitor>()];
    checks.check(
        "memory beyond the block is overwritten (not detected)",
        result.is_ok() && byte == 0xee,
    );
    let _ = h.pause_vm(vm);
    let destroyed = h.destroy_vm(vm);
    checks.check("the VM of this check is gone", destroyed.is_ok());
}

fn name() -> hypercall_core::acrn::VmName {
    hypercall_conformance::Options::RECORDED.vm
}
