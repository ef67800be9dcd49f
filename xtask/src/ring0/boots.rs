//! The boots of a run: what is booted, how, and how it must end.

/// Which image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// The guest alone.
    Guest,
    /// The hypervisor, with the guest in it.
    Hypervisor,
}

/// How the image gets into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loader {
    /// QEMU's `-kernel`, by the PVH note. With a command line.
    Pvh(&'static str),
    /// GRUB, by the multiboot2 header, in QEMU.
    Grub,
    /// GRUB in Bochs.
    Bochs,
}

/// How a run must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Every step and every check holds.
    Passed,
    /// Every step holds that any ACRN with the User VM answers; no check was made.
    PassedAnywhere,
    /// As [`Passed`](Self::Passed), and a typed call of values costs what a hand-written one does.
    PassedAtNoCost,
    /// No hypervisor that can be called: nothing was called. The line must say this.
    Refused(&'static str),
    /// The run fails, and says so with this. It shows that failures are seen.
    Failed(&'static str),
}

/// One boot.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    pub image: Image,
    pub loader: Loader,
    /// QEMU's `-cpu`.
    pub cpu: &'static str,
    /// More arguments of QEMU's.
    pub more: &'static [&'static str],
    /// What the hypervisor says that it runs its guest on; nothing where there is no hypervisor of ours. Should a model gain
    /// or lose a feature in another emulator, the boot no longer shows what it is for.
    pub processor: &'static str,
    /// How many checks the guest makes there, beside the suite's steps.
    pub checks: usize,
    pub end: End,
}

const NESTED: &str = "SVM with nested paging";
const NOT_NESTED: &str = "SVM without nested paging";
const VMX: &str = "VMX with extended page tables";

/// The guest's checks. Two of them, about the hypervisor's memory, are not made without nested paging.
const CHECKS: usize = 137;

impl Boot {
    /// Its name as a file's.
    pub fn file_name(&self) -> String {
        let words: Vec<&str> = self
            .name
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .collect();
        words.join("-")
    }
}

const SERIAL: &[&str] = &["-serial", "stdio"];
/// COM1 and port 0xe9 as one output.
const BOTH: &[&str] = &[
    "-chardev",
    "stdio,id=both,mux=on,signal=off",
    "-serial",
    "chardev:both",
    "-device",
    "isa-debugcon,iobase=0xe9,chardev=both",
];

/// The boots under QEMU.
pub const QEMU: &[Boot] = &[
    Boot {
        name: "guest alone",
        shows: "no hypervisor of ours: another one is named, nothing faults; PVH entry",
        image: Image::Guest,
        loader: Loader::Pvh(""),
        cpu: "max",
        more: SERIAL,
        processor: "",
        checks: 0,
        end: End::Refused("the hypervisor is QEMU's emulator"),
    },
    Boot {
        name: "guest alone, nobody above it",
        shows: "no hypervisor: a typed refusal, nothing faults",
        image: Image::Guest,
        loader: Loader::Pvh(""),
        cpu: "max,-hypervisor",
        more: SERIAL,
        processor: "",
        checks: 0,
        end: End::Refused("no hypervisor"),
    },
    Boot {
        name: "guest alone, without COM1",
        shows: "lines come from port 0xe9 where there is no UART",
        image: Image::Guest,
        loader: Loader::Pvh(""),
        cpu: "qemu64",
        more: &["-debugcon", "stdio"],
        processor: "",
        checks: 0,
        end: End::Refused("the hypervisor is QEMU's emulator"),
    },
    Boot {
        name: "guest alone, by GRUB",
        shows: "multiboot2 entry",
        image: Image::Guest,
        loader: Loader::Grub,
        cpu: "max",
        more: SERIAL,
        processor: "",
        checks: 0,
        end: End::Refused("the hypervisor is QEMU's emulator"),
    },
    Boot {
        name: "under the hypervisor",
        shows: "typed calls through real exits; flat 32-bit entry of the guest",
        image: Image::Hypervisor,
        loader: Loader::Pvh(""),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: CHECKS,
        end: End::Passed,
    },
    Boot {
        name: "without nested paging",
        shows: "the same on a processor that cannot translate the guest's memory",
        image: Image::Hypervisor,
        loader: Loader::Pvh(""),
        cpu: "qemu64",
        more: SERIAL,
        processor: NOT_NESTED,
        checks: CHECKS - 2,
        end: End::Passed,
    },
    Boot {
        name: "counting instructions",
        shows: "what a typed call costs beside a hand-written one",
        image: Image::Hypervisor,
        loader: Loader::Pvh(""),
        cpu: "max",
        more: &["-serial", "stdio", "-icount", "shift=0,sleep=off"],
        processor: NESTED,
        checks: CHECKS,
        end: End::PassedAtNoCost,
    },
    Boot {
        name: "as on another ACRN",
        shows: "what the guest does where nothing tells it that this is the test bed",
        image: Image::Hypervisor,
        loader: Loader::Pvh("plain"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::PassedAnywhere,
    },
    Boot {
        name: "no port that takes the end",
        shows: "a guest whose end nobody takes stops its processor",
        image: Image::Hypervisor,
        loader: Loader::Pvh("plain no-end"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::Failed("the guest stopped its processor for good"),
    },
    Boot {
        name: "a wrong answer",
        shows: "a step that is answered otherwise than by ACRN fails the run",
        image: Image::Hypervisor,
        loader: Loader::Pvh("wrong=100"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::Failed("FAILED"),
    },
    Boot {
        name: "a serial port that dies",
        shows: "a trace that did not get through fails the run, and nothing waits for ever",
        image: Image::Hypervisor,
        loader: Loader::Pvh("mute=100"),
        cpu: "max",
        more: BOTH,
        processor: NESTED,
        checks: 0,
        end: End::Failed("the trace is not complete: FAILED"),
    },
    Boot {
        name: "an exception",
        shows: "an exception that nobody waits for is reported, and ends the run",
        image: Image::Hypervisor,
        loader: Loader::Pvh("fault=100"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::Failed("EXCEPTION 13 at RIP "),
    },
    Boot {
        name: "an exception in the report of one",
        shows: "an exception that comes while one is reported ends the run as well",
        image: Image::Hypervisor,
        loader: Loader::Pvh("nested=100"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::Failed("EXCEPTION 13 while another one was reported"),
    },
    Boot {
        name: "a crash",
        shows: "what would crash the real hypervisor ends the run",
        image: Image::Hypervisor,
        loader: Loader::Pvh("crash=100"),
        cpu: "max",
        more: SERIAL,
        processor: NESTED,
        checks: 0,
        end: End::Failed("the machine did not survive call"),
    },
];

/// The boots under Bochs, which has Intel's VMX: VMCALL exits by itself.
pub const BOCHS: &[Boot] = &[
    Boot {
        name: "VMX, a Skylake",
        shows: "the same image on a processor of Intel's",
        image: Image::Hypervisor,
        loader: Loader::Bochs,
        cpu: "corei7_skylake_x",
        more: &[],
        processor: VMX,
        checks: CHECKS,
        end: End::Passed,
    },
    Boot {
        name: "VMX, a Haswell",
        shows: "the same on an older one",
        image: Image::Hypervisor,
        loader: Loader::Bochs,
        cpu: "corei7_haswell_4770",
        more: &[],
        processor: VMX,
        checks: CHECKS,
        end: End::Passed,
    },
];
