//! From ring 3: detection refuses, and the instruction faults when it is executed all the same.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering};

use bare::interrupts::{Caught, catch_in_ring_3};
use bare::line;
use hypercall_vmcall::{NotAvailable, detect};

use crate::checks::Checks;

/// The end of memory that ring 3 uses as its stack.
const STACK: u64 = 0x230_0000;
/// What detection said in ring 3: 1 and the ring of a typed refusal, 2 for anything else.
static SAID: AtomicU64 = AtomicU64::new(0);

pub fn run(checks: &mut Checks) {
    line!("== ring 3");
    for (what, number, rdi) in [
        ("a call that does nothing", 0x8000_0014, 0),
        ("a number that no call has", 0x8000_00ff, 0),
        ("pausing the caller", 0x8000_0013, 0),
    ] {
        ARGUMENTS[0].store(number, Ordering::Release);
        ARGUMENTS[1].store(rdi, Ordering::Release);
        // SAFETY: the function uses nothing but atomics and its stack; memory there is nobody's.
        let caught = unsafe { catch_in_ring_3(user, 0, STACK) };
        let gp = matches!(
            caught,
            Caught {
                vector: 13,
                error: 0,
                ring: 3,
                ..
            }
        );
        checks.check(format_args!("{what}: the hypervisor raises #GP(0)"), gp);
    }
    checks.check(
        "detection says: not ring 0 but 3",
        SAID.load(Ordering::Acquire) == 0x103,
    );
}

static ARGUMENTS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "sysv64" fn user(_: u64) -> ! {
    let said = match detect() {
        Err(NotAvailable::NotPrivileged { privilege }) => 0x100 + u64::from(privilege),
        _ => 0x200,
    };
    SAID.store(said, Ordering::Release);
    let [number, rdi] = [0, 1].map(|at: usize| ARGUMENTS[at].load(Ordering::Acquire));
    // SAFETY: this is ring 3: the instruction faults, and the fault ends this function. Should it not, UD2 does.
    unsafe {
        asm!("vmcall", "ud2", in("r8") number, in("rdi") rdi, options(noreturn));
    }
}
