//! Calls about the machine, and calls that only other VMs may make.

use hypercall::acrn::{
    ApiVersion, HypervisorCalls as Calls, LapicId, NpkLog, NpkLogCommand, NpkLogResult, PmCommand,
    ProfilingCommand, SwitchRefused, TeeBoot, TeeReply, TeeRequest, TrustyBootParam, Vector, VmId,
    WorldMessage,
};
use hypercall::call::CallInfo;
use hypercall::{Error, Gpa, Hpa};

use crate::steps::{Expected, Outcome, Steps};

pub(crate) fn run(steps: &mut Steps<'_>) {
    steps.heading("the machine");
    let h = steps.hypervisor;
    let version = steps.step(Calls::GET_API_VERSION, "asked", 0, h.get_api_version());
    let known = version.is_some_and(|version| version.supports(ApiVersion::KNOWN));
    steps.fact(
        Calls::GET_API_VERSION,
        "it is one that this suite knows",
        known,
    );

    let call = Calls::SERVICE_VM_OFFLINE_CPU;
    steps.step(
        call,
        "no such APIC",
        0,
        h.service_vm_offline_cpu(LapicId(0xffff_fff0)),
    );
    steps.on_recorded(call, "the one that booted", -1, |h| {
        h.service_vm_offline_cpu(LapicId(0))
    });

    let call = Calls::SET_CALLBACK_VECTOR;
    for (what, vector, expected) in [
        ("0x1f", 0x1f, -22),
        ("0", 0, -22),
        ("0x100", 0x100, -22),
        ("0xf3 with bit 32", 0x1_0000_00f3, -22),
        ("0x20, the first", 0x20, 0),
        ("0xff, the last", 0xff, 0),
        ("the default", Vector::UPCALL_DEFAULT.0, 0),
    ] {
        steps.step(call, what, expected, h.set_callback_vector(Vector(vector)));
    }

    steps.heading("debug builds");
    let info = steps.on_recorded(Calls::GET_HW_INFO, "asked", 0, |h| h.get_hw_info());
    if let Some(info) = info {
        steps.fact(Calls::GET_HW_INFO, "one processor", info.cpu_num == 1);
    }
    log(steps);
    let call = Calls::PROFILING_OPS;
    let mut version = [0; 24];
    let asked = steps.on_recorded(call, "the version", 0, |h| {
        h.profiling_ops(ProfilingCommand::GET_VERSION, &mut version)
    });
    if asked.is_some() {
        steps.fact(
            call,
            "the version is 1.0",
            version.starts_with(&[1, 0, 0, 0, 0, 0, 0, 0]),
        );
    }
    steps.step(
        call,
        "no such command",
        -1,
        h.profiling_ops(ProfilingCommand(99), &mut []),
    );

    other_worlds(steps);
    power(steps);
}

fn log(steps: &mut Steps<'_>) {
    let call = Calls::SETUP_HV_NPK_LOG;
    for (what, command, result) in [
        ("is it on", NpkLogCommand::QUERY, NpkLogResult::DISABLED),
        (
            "configure nothing",
            NpkLogCommand::CONFIGURE,
            NpkLogResult::FAILED,
        ),
        ("switch it off", NpkLogCommand::DISABLE, NpkLogResult::OK),
        ("no such command", NpkLogCommand(9), NpkLogResult::FAILED),
    ] {
        let mut log = NpkLog::new(command);
        let asked = steps.on_recorded(call, what, 0, |h| h.setup_hv_npk_log(&mut log));
        if asked.is_some() {
            steps.fact(
                call,
                "its result says so",
                log.result == result && log.mmio_addr == Hpa(0),
            );
        }
    }
}

/// The Service VM has no world beside it.
fn other_worlds(steps: &mut Steps<'_>) {
    steps.heading("calls of other VMs");
    let h = steps.hypervisor;
    let param = TrustyBootParam::new(Gpa(0x100_0000), Gpa(0x100_1000), 0x10_0000, [7; 64]);
    steps.step(
        Calls::INITIALIZE_TRUSTY,
        "not for the Service VM",
        -25,
        h.initialize_trusty(&param),
    );
    let result = h.save_restore_sworld_ctx();
    steps.step(
        Calls::SAVE_RESTORE_SWORLD_CTX,
        "not for the Service VM",
        -25,
        result,
    );
    for (what, start) in [
        ("sleep", TeeBoot::SLEEP),
        ("start the REE", TeeBoot::START_REE),
    ] {
        steps.step(
            Calls::TEE_VCPU_BOOT_DONE,
            what,
            -25,
            h.tee_vcpu_boot_done(start),
        );
    }
    if let Some(worlds) = steps.surroundings.worlds() {
        let message = WorldMessage {
            rdi: 1,
            rsi: 2,
            rdx: 3,
            rbx: 4,
        };
        let refused = |answer: Result<(), SwitchRefused>| answer.err().map(|refused| refused.rax);
        let error = |answer: Result<(), Error>| answer.err().and_then(|error| error.code());
        let rax = [
            refused(worlds.switch_world(message).map(drop)),
            refused(worlds.switch_to_tee(TeeRequest::default()).map(drop)),
            refused(worlds.switch_to_ree(TeeReply::default()).map(drop)),
            error(worlds.start_secure_world(&param).map(drop)),
            error(worlds.tee_boot_done(TeeBoot::START_REE).map(drop)),
        ];
        for ((call, what), rax) in WORLDS.into_iter().zip(rax) {
            let outcome = if rax == Some(-25) {
                Outcome::AsExpected
            } else {
                Outcome::DoesNotHold
            };
            steps.row(call, what, Expected::Code(-25), outcome);
        }
    } else {
        for (call, what) in WORLDS {
            steps.row(call, what, Expected::Code(-25), Outcome::LeftOut);
        }
    }
}

/// The calls of the trait `WorldSwitch`, which the Service VM may not make.
const WORLDS: [(&CallInfo, &str); 5] = [
    (Calls::INITIALIZE_TRUSTY, "a world switch"),
    (Calls::INITIALIZE_TRUSTY, "a switch to the TEE"),
    (Calls::INITIALIZE_TRUSTY, "a switch to the REE"),
    (Calls::INITIALIZE_TRUSTY, "with a message back"),
    (Calls::TEE_VCPU_BOOT_DONE, "with a request back"),
];

fn power(steps: &mut Steps<'_>) {
    steps.heading("power states of VMs that there are not");
    let h = steps.hypervisor;
    let beyond = PmCommand::new(VmId(16));
    steps.step(
        Calls::PM_GET_PX_COUNT,
        "VM 16",
        -25,
        h.pm_get_px_count(beyond),
    );
    steps.step(
        Calls::PM_GET_PX_DATA,
        "VM 255",
        -25,
        h.pm_get_px_data(PmCommand::new(VmId(255))),
    );
    steps.step(
        Calls::PM_GET_CX_COUNT,
        "VM 16",
        -25,
        h.pm_get_cx_count(beyond),
    );
    steps.step(
        Calls::PM_GET_CX_DATA,
        "VM 16",
        -25,
        h.pm_get_cx_data(beyond),
    );
}
