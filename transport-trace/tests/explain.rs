//! Numbers, names and lines of a log, explained.

use hypercall_core::acrn::HypervisorCalls;
use hypercall_trace::explain::{Explanation, explain};
use hypercall_trace::schema::Schema;
use proptest::prelude::*;

fn ask(text: &str) -> Explanation {
    explain(
        text,
        &Schema::from_interfaces(&[HypervisorCalls::INTERFACE]),
    )
}

fn names(text: &str) -> Vec<String> {
    ask(text).calls.into_iter().map(|call| call.name).collect()
}

#[test]
fn a_line_of_the_log() {
    let told = ask(
        "[12345678us][cpu=0][vm0:vcpu0][sev=2][seq=3]:ret=-1 hypercall=0x80000023 failed in vmcall_vmexit_handler",
    );
    assert_eq!(told.calls.len(), 1);
    assert_eq!(told.calls[0].name, "inject_msi");
    let answer = told.answer.clone().unwrap();
    assert_eq!((answer.rax, answer.name.as_deref()), (-1, Some("EPERM")));
    assert!(
        answer
            .check
            .unwrap()
            .contains("does the address start with 0xfee")
    );
    let text = told.to_string();
    for part in [
        "inject_msi (0x80000023)",
        "RDI: vm, a value: VmId, given out by the hypervisor",
        "16 bytes that the hypervisor reads",
        "-1 EPERM",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // A truncated line, as an issue quotes it.
    assert_eq!(
        names("ret=-22 hypercall=0x80000055 failed"),
        ["assign_pcidev"]
    );
    assert_eq!(
        ask("ret=-19 hypercall=0x80000055")
            .answer
            .unwrap()
            .name
            .as_deref(),
        Some("ENODEV")
    );
}

#[test]
fn numbers() {
    assert_eq!(names("0x80000012"), ["start_vm"]);
    assert_eq!(names("2147483666"), ["start_vm"]);
    assert_eq!(names("0x12"), ["start_vm"]);
    assert!(ask("0x12").notes[0].contains("index of 0x80000012"));
    assert_eq!(names("0x80000080").len(), 4);
    assert!(
        ask("0x80000080").calls[1]
            .selected
            .as_deref()
            .unwrap()
            .contains("0xff = 0x1")
    );
    assert!(ask("0xffffffff80000012").notes[0].contains("only the exact number is safe"));
    assert!(ask("0x80000071").notes[0].contains("HC_WORLD_SWITCH"));
    assert!(ask("0x80000050").notes[0].contains("no handler"));
    assert!(ask("0x800000ff").notes[0].contains("answers -25"));
}

#[test]
fn names_as_rust_and_c_have_them() {
    for name in [
        "start_vm",
        "HC_START_VM",
        "hcall_start_vm",
        "ACRN_IOCTL_START_VM",
        " Start_VM ",
    ] {
        assert_eq!(names(name), ["start_vm"], "{name}");
    }
    assert_eq!(names("HC_VM_SET_MEMORY_REGIONS"), ["set_memory_regions"]);
    assert_eq!(names("hcall_set_vm_memory_regions"), ["set_memory_regions"]);
    assert_eq!(names("HC_CREATE_VDEV"), ["add_vdev"]);
    assert_eq!(names("HC_VM_GPA2HPA"), ["vm_gpa2hpa"]);
    assert_eq!(names("HC_VM_WRITE_PROTECT_PAGE"), ["write_protect_page"]);
    assert_eq!(names("HC_PM_GET_CPU_STATE").len(), 4);
    assert!(ask("strat_vm").notes[0].contains("start_vm comes nearest"));
    // Every C name that the interface's calls have.
    for call in HypervisorCalls::INTERFACE.calls {
        assert_eq!(names(call.name), [call.name]);
        assert!(names(&format!("{:#x}", call.number)).contains(&call.name.to_owned()));
    }
}

#[test]
fn answers_alone_and_with_a_call() {
    let told = ask("EINVAL");
    assert!(told.calls.is_empty());
    assert_eq!(told.answer.unwrap().rax, -22);
    let told = ask("destroy_vm -1").answer.unwrap();
    assert!(told.check.unwrap().contains("is the VM paused?"));
    assert_eq!(ask("start_vm: EPERM").answer.unwrap().rax, -1);
    for unwritten in ["create_vcpu -9223372036854775808", "0x8000000000000000"] {
        let told = ask(unwritten).answer.unwrap();
        assert_eq!(told.rax, i64::MIN);
        assert!(
            told.meaning.contains("did not write RAX"),
            "{}",
            told.meaning
        );
    }
    assert_eq!(
        ask("0xffffffffffffffe7").answer.unwrap().name.as_deref(),
        Some("ENOTTY")
    );
    assert!(
        ask("start_vm -77")
            .answer
            .unwrap()
            .meaning
            .contains("does not know")
    );
    assert!(ask("").notes[0].contains("no number, name or line"));
    let json = serde_json::to_value(ask("start_vm -1")).unwrap();
    assert_eq!(json["calls"][0]["number"], 0x8000_0012_u32);
    assert_eq!(json["answer"]["name"], "EPERM");
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}") {
        let _ = ask(&text).to_string();
    }

    #[test]
    fn any_line_like_one_of_the_log_is_answered(ret in any::<i32>(), number in any::<u64>()) {
        let told = ask(&format!("ret={ret} hypercall={number:#x} failed in vmcall_vmexit_handler"));
        prop_assert_eq!(told.answer.unwrap().rax, i64::from(ret));
    }
}
