use hypercall_core::Hazard;

use super::*;
use crate::fake::answer::Fail;

const ALL: u64 = RWX | WRITE_BACK;

fn ept() -> Ept {
    Ept::new(Shape {
        pool: 64,
        giant_pages: true,
        no_large_code: true,
        small_code_pages: false,
    })
}

#[test]
fn pages_keep_their_translation_and_addresses_round_up() {
    let mut ept = ept();
    assert_eq!(ept.add(0x400_0000, 0x10_0000, 0x2000, ALL), Ok(()));
    assert_eq!(ept.add(0x401_0001, 0x10_0fff, 0x3000, ALL), Ok(()));
    assert_eq!(
        ept.lookup(0x10_1008).map(|found| found.hpa),
        Some(0x400_1008)
    );
    assert_eq!(
        ept.lookup(0x10_3008).map(|found| found.hpa),
        Some(0x401_3008)
    );
    assert_eq!(ept.lookup(0x10_4000), None);
}

#[test]
fn a_hole_behind_the_start_of_a_large_page_is_stepped_over() {
    let mut ept = ept();
    assert_eq!(ept.add(0, 0, 4 << 30, ALL), Ok(()));
    assert_eq!(ept.delete(0x1100_0000, 0xe0_0000), Ok(()));
    assert!(!ept.is_mapped(0x1100_0000, 0x1000));
    assert!(ept.is_mapped(0x10ff_f000, 0x2000));
    assert!(!ept.is_mapped(0x10e0_0000, 0x20_1000));
}

#[test]
fn a_large_page_without_rights_stays_in_the_way() {
    let mut ept = ept();
    assert_eq!(ept.add(0x20_0000, 0x20_0000, 0x20_0000, WRITE_BACK), Ok(()));
    assert_eq!(ept.lookup(0x20_0000), None);
    assert_eq!(ept.add(0x20_0000, 0x20_0000, 0x20_0000, ALL), Ok(()));
    assert_eq!(ept.lookup(0x20_0000), None);
}

#[test]
fn splitting_keeps_the_rest() {
    let mut ept = ept();
    assert_eq!(ept.add(0x4000_0000, 0x4000_0000, 1 << 30, ALL), Ok(()));
    assert_eq!(ept.delete(0x4000_1000, 0x1000), Ok(()));
    assert_eq!(ept.lookup(0x4000_1000), None);
    assert_eq!(
        ept.lookup(0x4000_2345).map(|found| (found.hpa, found.page)),
        Some((0x4000_2345, SIZE_4K))
    );
    assert_eq!(
        ept.lookup(0x4040_0000).map(|found| found.page),
        Some(SIZE_2M)
    );
}

#[test]
fn sizes_are_hostile() {
    let mut ept = ept();
    assert_eq!(
        ept.add(0, 0x1000, !0xfff, ALL),
        Ok(()),
        "wraps, so nothing is done"
    );
    assert_eq!(ept.lookup(0x1000), None);
    let outcome = ept.add(0x1000, 0x3000, 1 << 63, ALL);
    assert!(
        matches!(outcome, Err(Fail::Dead(Hazard::Crashed(_)))),
        "{outcome:?}"
    );
    let mut ept = Ept::new(Shape {
        pool: 4096,
        giant_pages: true,
        no_large_code: false,
        small_code_pages: false,
    });
    assert_eq!(ept.add(0, 0, 1 << 63, ALL), Ok(()));
    assert!(ept.is_mapped(5, 1 << 63));
    let outcome = ept.delete(0, 0_u64.wrapping_sub(0x1000));
    assert!(
        matches!(outcome, Err(Fail::Dead(Hazard::Hung(_)))),
        "{outcome:?}"
    );
}

#[test]
fn bits_above_47_are_ignored() {
    let mut ept = ept();
    assert_eq!(ept.add(0x5000, 0x5000, 0x1000, ALL), Ok(()));
    assert_eq!(
        ept.lookup((1 << 48) | 0x5004).map(|found| found.hpa),
        Some(0x5004)
    );
}
