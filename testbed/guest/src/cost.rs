//! What a typed call costs beside a hand-written one: instructions, where the emulator counts them (`-icount`).

use core::arch::asm;
use core::hint::black_box;

use bare::control::{Answer, Command, command};
use bare::{cpu, line};
use hypercall_core::acrn::{
    ApiVersion, GpaToHpa, Gsi, Hypervisor, IrqLine, IrqLineOp, MemoryRegion, MsiAddress, MsiData,
    MsiEntry, SetRegions, VmCreation, VmId,
};
use hypercall_core::{Client, Gpa, Payload as _, RAX_UNWRITTEN, Value};

use crate::Way;
use crate::checks::Checks;
use crate::trace::{self, Nowhere};

/// How often each is called; the smallest count is taken.
const ROUNDS: usize = 32;

/// Ticks of the fastest of some rounds.
fn measure(mut call: impl FnMut() -> bool) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let start = cpu::time();
        let fine = call();
        let end = cpu::time();
        if fine {
            least = least.min(end - start);
        }
    }
    least
}

#[inline(never)]
fn nothing(_: &Client<Way>, _: VmId) -> bool {
    true
}

/// RAX before a call by hand, as in the typed one: it is read as an answer where the hypervisor writes none.
const UNWRITTEN: u64 = RAX_UNWRITTEN.cast_unsigned();

/// A call by hand, and one test of RAX: `careful`, with a RAX before it that is no answer, or `careless`, by somebody who does
/// not think of that.
macro_rules! by_hand {
    (careful, $number:expr $(, $register:tt = $value:expr)*) => {{
        let mut rax = UNWRITTEN;
        // SAFETY: the hypervisor answers 0, and writes no more than the call's own result.
        unsafe {
            asm!("vmcall", in("r8") $number, $(in($register) $value,)* inlateout("rax") rax, options(nostack));
        }
        rax == 0
    }};
    (careless, $number:expr $(, $register:tt = $value:expr)*) => {{
        let rax: u64;
        // SAFETY: the hypervisor answers 0, and writes no more than the call's own result.
        unsafe {
            asm!("vmcall", in("r8") $number, $(in($register) $value,)* lateout("rax") rax, options(nostack));
        }
        rax == 0
    }};
}

/// The calls in one way by hand, each with the arguments of the typed one.
macro_rules! all_by_hand {
    ($way:ident) => {
        pub mod $way {
            use super::*;

            #[inline(never)]
            pub fn none(_: &Client<Way>) -> bool {
                by_hand!($way, 0x8000_0072_u64)
            }

            #[inline(never)]
            pub fn one(_: &Client<Way>, vm: VmId) -> bool {
                by_hand!($way, 0x8000_0014_u64, "rdi" = vm.to_register())
            }

            #[inline(never)]
            pub fn two(_: &Client<Way>, vm: VmId, line: IrqLine) -> bool {
                by_hand!(
                    $way,
                    0x8000_0025_u64,
                    "rdi" = vm.to_register(),
                    "rsi" = line.to_register()
                )
            }

            #[inline(never)]
            pub fn read(_: &Client<Way>, vm: VmId, msi: &MsiEntry) -> bool {
                by_hand!(
                    $way,
                    0x8000_0023_u64,
                    "rdi" = vm.to_register(),
                    "rsi" = &raw const *msi
                )
            }

            #[inline(never)]
            pub fn array(_: &Client<Way>, vm: VmId, regions: &[MemoryRegion; 2]) -> bool {
                let mut header = SetRegions::zeroed();
                header.vmid = vm;
                header.mr_num = 2;
                header.regions_gpa = Gpa((&raw const *regions).expose_provenance() as u64);
                by_hand!($way, 0x8000_0042_u64, "rdi" = &raw mut header)
            }

            #[inline(never)]
            pub fn written(_: &Client<Way>, version: &mut ApiVersion) -> bool {
                let mut answer = ApiVersion::zeroed();
                let fine = by_hand!($way, 0x8000_0000_u64, "rdi" = &raw mut answer);
                if fine {
                    *version = answer;
                }
                fine
            }

            #[inline(never)]
            pub fn created(_: &Client<Way>, creation: &mut VmCreation) -> bool {
                by_hand!($way, 0x8000_0010_u64, "rdi" = &raw mut *creation)
            }

            #[inline(never)]
            pub fn yielded(_: &Client<Way>, vm: VmId, question: &mut GpaToHpa) -> bool {
                by_hand!(
                    $way,
                    0x8000_0041_u64,
                    "rdi" = vm.to_register(),
                    "rsi" = &raw mut *question
                )
            }
        }
    };
}

all_by_hand!(careful);
all_by_hand!(careless);

mod typed {
    use super::*;

    #[inline(never)]
    pub fn none(h: &Client<Way>) -> bool {
        h.save_restore_sworld_ctx().is_ok()
    }

    #[inline(never)]
    pub fn one(h: &Client<Way>, vm: VmId) -> bool {
        h.create_vcpu(vm).is_ok()
    }

    #[inline(never)]
    pub fn two(h: &Client<Way>, vm: VmId, line: IrqLine) -> bool {
        h.set_irqline(vm, line).is_ok()
    }

    #[inline(never)]
    pub fn read(h: &Client<Way>, vm: VmId, msi: &MsiEntry) -> bool {
        h.inject_msi(vm, msi).is_ok()
    }

    #[inline(never)]
    pub fn array(h: &Client<Way>, vm: VmId, regions: &[MemoryRegion; 2]) -> bool {
        h.set_memory_regions(vm, regions).is_ok()
    }

    #[inline(never)]
    pub fn written(h: &Client<Way>, version: &mut ApiVersion) -> bool {
        match h.get_api_version() {
            Ok(answer) => {
                *version = answer;
                true
            }
            Err(_) => false,
        }
    }

    #[inline(never)]
    pub fn created(h: &Client<Way>, creation: &mut VmCreation) -> bool {
        h.create_vm(creation).is_ok()
    }

    #[inline(never)]
    pub fn yielded(h: &Client<Way>, vm: VmId, question: &mut GpaToHpa) -> bool {
        h.vm_gpa2hpa(vm, question).is_ok()
    }
}

pub fn run(checks: &mut Checks, h: &Client<Way>) {
    line!("== cost, in ticks (with -icount: instructions, those of the hypervisor included)");
    command(Command::Answer, Answer::Nothing as u16);
    let vm = black_box(VmId(1));
    let irq = black_box(IrqLine::new(Gsi(4), IrqLineOp::HIGH));
    let msi = MsiEntry::new(MsiAddress::to_apic(0), MsiData::vector_of(0x40));
    let regions = [MemoryRegion::unmap(Gpa(0), 4096); 2];
    let mut version = ApiVersion::zeroed();
    let mut creation = VmCreation::default();
    let mut question = GpaToHpa::of(Gpa(0));
    let empty = measure(|| nothing(h, vm));
    line!("cost: empty {empty}");
    // The three forms of a call. What goes round the call is the same code for each: the compiler does not know which it is.
    macro_rules! forms {
        ($call:ident $(, $argument:expr)*) => {{
            let mut ticks = [0; 3];
            // Nor how many forms there are: it would write the code three times, and not thrice the same.
            let forms: &[_] = black_box(&[typed::$call, careful::$call, careless::$call]);
            for (ticks, form) in ticks.iter_mut().zip(forms) {
                *ticks = measure(|| form(h $(, $argument)*));
            }
            ticks
        }};
    }
    for (what, forms) in [
        ("save_restore_sworld_ctx()", forms!(none)),
        ("create_vcpu(value)", forms!(one, vm)),
        ("set_irqline(value, value)", forms!(two, vm, irq)),
        ("inject_msi(value, read)", forms!(read, vm, &msi)),
        (
            "set_memory_regions(value, array)",
            forms!(array, vm, &regions),
        ),
        ("get_api_version(written)", forms!(written, &mut version)),
        (
            "create_vm(read and written)",
            forms!(created, &mut creation),
        ),
        (
            "vm_gpa2hpa(value, read and written)",
            forms!(yielded, vm, &mut question),
        ),
    ] {
        let [typed, careful, careless] = forms.map(|ticks| ticks.saturating_sub(empty));
        line!("cost: {what}: typed {typed}, by hand {careful}, with any RAX {careless}");
        checks.check(
            format_args!("{what} was answered"),
            forms.iter().all(|ticks| *ticks != u64::MAX),
        );
    }
    recorder(checks, h, vm, &msi);
    command(Command::Answer, Answer::Honest as u16);
}

/// What the recorder adds to a call, and the block of memory that it has to empty now and then not counted.
fn recorder(checks: &mut Checks, h: &Client<Way>, vm: VmId, msi: &MsiEntry) {
    // SAFETY: called once.
    let memory = unsafe { trace::SECOND.take() };
    let Some(recorder) = trace::recorder::<_, 0>(*h.transport(), memory, Nowhere) else {
        checks.check("memory for a recorder", false);
        return;
    };
    let recorded = Client::new(recorder);
    for (what, plain, call) in [
        (
            "create_vcpu(value)",
            measure(|| typed::one(h, vm)),
            measure(|| recorded.create_vcpu(vm).is_ok()),
        ),
        (
            "inject_msi(value, read)",
            measure(|| typed::read(h, vm, msi)),
            measure(|| recorded.inject_msi(vm, msi).is_ok()),
        ),
        (
            "vm_gpa2hpa(value, read and written)",
            measure(|| typed::yielded(h, vm, &mut GpaToHpa::of(Gpa(0)))),
            measure(|| recorded.vm_gpa2hpa(vm, &mut GpaToHpa::of(Gpa(0))).is_ok()),
        ),
    ] {
        line!(
            "cost: {what} recorded: {} more",
            call.cast_signed() - plain.cast_signed()
        );
        checks.check(
            format_args!("{what} was answered under the recorder"),
            call != u64::MAX,
        );
    }
}
