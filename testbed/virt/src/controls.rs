//! VMX's controls: those that are needed, those that would be good, and those that a processor insists on.
//!
//! For each set of controls a register says which must be set (its low half) and which may be (its high half; Intel SDM
//! volume 3, A.2). A needed one that may not be set is a reason not to start: the guest would run on, and what was to be
//! kept from it would not be.

use core::fmt;

/// A bit of a set, and the manual's name for it.
pub type Control = (u64, &'static str);

/// A control that the hypervisor needs and the processor has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub set: &'static str,
    pub control: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this processor's VMX lacks the {} control \"{}\"",
            self.set, self.control
        )
    }
}

/// The value of a set: what is `needed`, what of `wanted` there is, and what must be. Of `later`, which is switched on and off
/// while the guest runs, nothing is set yet.
///
/// # Errors
/// The first control of `needed` or `later` that the processor has not.
pub fn choose(
    set: &'static str,
    allowed: u64,
    needed: &[Control],
    later: &[Control],
    wanted: u64,
) -> Result<u64, Missing> {
    let (must, may) = (allowed & 0xffff_ffff, allowed >> 32);
    for (bits, control) in needed.iter().chain(later) {
        if may & bits != *bits {
            return Err(Missing { set, control });
        }
    }
    let needed = needed.iter().fold(0, |all, (bits, _)| all | bits);
    Ok((needed | wanted | must) & may)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString as _;

    use super::*;

    const A: Control = (1 << 3, "a");
    const B: Control = (1 << 31, "b");
    const WANTED: u64 = 1 << 6;

    fn allowed(must: u64, may: u64) -> u64 {
        must | (must | may) << 32
    }

    #[test]
    fn what_must_be_set_and_what_is_needed_is() {
        let all = allowed(0x16, A.0 | B.0 | WANTED | 1 << 9);
        assert_eq!(
            choose("test", all, &[A, B], &[], WANTED),
            Ok(0x16 | A.0 | B.0 | WANTED)
        );
        // What comes later is looked for, and not set.
        assert_eq!(choose("test", all, &[A], &[B], 0), Ok(0x16 | A.0));
    }

    #[test]
    fn what_is_only_wanted_may_be_missing() {
        let without = allowed(0x16, A.0);
        assert_eq!(choose("test", without, &[A], &[], WANTED), Ok(0x16 | A.0));
    }

    #[test]
    fn a_missing_one_is_named() {
        let without = allowed(0x16, A.0 | WANTED);
        for (needed, later) in [(&[A, B][..], &[][..]), (&[A], &[B])] {
            let missing = choose("processor-based", without, needed, later, 0).unwrap_err();
            assert_eq!(
                missing.to_string(),
                "this processor's VMX lacks the processor-based control \"b\""
            );
        }
        assert!(choose("test", 0, &[A], &[], 0).is_err());
    }
}
