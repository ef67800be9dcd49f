//! The suite's surroundings in ring 0.

use core::ptr::with_exposed_provenance;

use bare::{cpu, interrupts};
use hypercall_conformance::{LENT_AT, LENT_PAGES, Lent, Surroundings};
use hypercall_core::SharedPage;
use hypercall_core::acrn::WorldSwitch;
use hypercall_vmcall::Acrn;

use crate::{Way, way};

/// How long a User VM is given for its next access, in milliseconds: so long that only one that hangs needs it.
const PATIENCE: u64 = 20_000;

/// Memory above the image, time, and the transport.
#[derive(Debug)]
pub struct Around {
    /// The hypervisor lets time pass while the guest halts, and needs no local APIC.
    test_bed: bool,
    ticks: u64,
    worlds: Way,
}

impl Around {
    /// Surroundings under this hypervisor.
    pub fn new(test_bed: bool, acrn: Acrn) -> Self {
        if !test_bed {
            // SAFETY: under ACRN the Service VM's local APIC is where its base register says, in memory that this image
            // maps to itself.
            unsafe { interrupts::use_apic() };
        }
        let ticks = u64::from(acrn.tsc_khz().unwrap_or(2_000_000)).saturating_mul(PATIENCE);
        Self {
            test_bed,
            ticks,
            worlds: way(acrn),
        }
    }
}

impl Surroundings for Around {
    fn lent(&self) -> Lent {
        let first = with_exposed_provenance::<SharedPage>(LENT_AT.0 as usize);
        // SAFETY: RAM at 32 MiB, mapped to itself, far above this image and its own stacks. No variable of this image lies
        // there, any bytes are a page of atomics, and the machine never takes the memory away. Of the last 16 pages the
        // checks that follow the suite make code and stacks of a secure world and of a rich VM, each of which runs only while
        // this program waits in a call; nobody reads or writes those pages through this reference from then on, but for the
        // code that is put into the first of them before it runs.
        let pages = unsafe { core::slice::from_raw_parts(first, LENT_PAGES) };
        Lent {
            pages,
            gpa: LENT_AT,
        }
    }

    fn wait(&self, done: &dyn Fn() -> bool) -> bool {
        if self.test_bed {
            for _ in 0..8 {
                if done() {
                    return true;
                }
                // SAFETY: handlers are installed.
                unsafe { cpu::wait_for_interrupt() };
            }
            return done();
        }
        let start = cpu::time();
        while !done() {
            if cpu::time().wrapping_sub(start) > self.ticks {
                return false;
            }
            // Interrupts come in behind the first NOP. Not PAUSE, which QEMU leaves in such a way that they do not.
            // SAFETY: handlers are installed; they run on a stack of their own and preserve every register.
            unsafe { core::arch::asm!("sti", "nop", "nop", "cli") };
        }
        true
    }

    fn upcalls(&self, vector: u8) -> Option<u64> {
        Some(interrupts::count(vector))
    }

    fn worlds(&self) -> Option<&dyn WorldSwitch> {
        Some(&self.worlds)
    }
}
