//! What is refused before anything is issued. A call that is made cannot be tested here: it would be a VMCALL.

use core::cell::{Cell, RefCell};

use hypercall::acrn::{TrustyBootParam, WorldSwitch};
use hypercall::{ErrorKind, Gpa, SharedPage};

use super::*;

/// Knows the first few blocks that it is asked about, and remembers all. While it knows fewer than a call has, no
/// call is made, which is what lets these tests run outside ring 0.
#[derive(Default)]
struct Knows {
    left: Cell<usize>,
    asked: RefCell<[(usize, usize); 4]>,
    count: Cell<usize>,
}

impl Knows {
    fn blocks(left: usize) -> Vmcall<Self> {
        let translate = Self {
            left: Cell::new(left),
            ..Self::default()
        };
        Vmcall { translate }
    }
}

impl Vmcall<Knows> {
    fn asked(&self, blocks: &[(usize, usize)]) -> bool {
        self.translate.asked.borrow()[..self.translate.count.get()] == *blocks
    }
}

// SAFETY: no call is ever made with what it answers.
unsafe impl Translate for Knows {
    fn translate(&self, start: *const u8, length: usize) -> Option<u64> {
        self.asked.borrow_mut()[self.count.replace(self.count.get() + 1)] = (start.addr(), length);
        self.left.set(self.left.get().checked_sub(1)?);
        Some(0x1000)
    }
}

#[test]
fn a_block_without_one_address_is_a_typed_error_and_nothing_is_issued() {
    let vmcall = Knows::blocks(0);
    let block = [0; 48];
    assert_eq!(
        vmcall.call(Calls::INJECT_MSI, [Arg::Value(1), Arg::Read(&block)]),
        Err(TransportError::Untranslatable {
            register: 1,
            nested: false
        })
    );
    assert!(vmcall.asked(&[(block.as_ptr().addr(), 48)]));

    let vmcall = Knows::blocks(1);
    let mut other = [0; 8];
    assert_eq!(
        vmcall.call(
            Calls::INJECT_MSI,
            [Arg::Write(&mut other), Arg::Read(&block)]
        ),
        Err(TransportError::Untranslatable {
            register: 1,
            nested: false
        })
    );
    assert!(vmcall.asked(&[(other.as_ptr().addr(), 8), (block.as_ptr().addr(), 48)]));
}

#[test]
fn a_header_and_what_it_points_at_are_asked_about_once_each() {
    let array = [7; 64];
    for (known, nested) in [(0, true), (1, false)] {
        let vmcall = Knows::blocks(known);
        let mut header = [0; 24];
        let at = header.as_ptr().addr();
        let linked = Linked {
            header: &mut header,
            offset: 16,
            target: Target::Read(&array),
        };
        assert_eq!(
            vmcall.call(Calls::SET_MEMORY_REGIONS, [Arg::Linked(linked), Arg::None]),
            Err(TransportError::Untranslatable {
                register: 0,
                nested
            })
        );
        let blocks = [(array.as_ptr().addr(), 64), (at, 24)];
        assert!(vmcall.asked(&blocks[..=known]));
    }
}

#[test]
fn what_is_handed_over_for_keeps_has_an_address_of_its_own() {
    static PAGES: [SharedPage; 2] = [const { SharedPage::new() }; 2];
    let call = |vmcall: &Vmcall<Knows>, page: SharedRef| {
        let mut header = [0; 8];
        let target = Target::Shared(page);
        let linked = Linked {
            header: &mut header,
            offset: 0,
            target,
        };
        vmcall.call(
            Calls::SET_IOREQ_BUFFER,
            [Arg::Value(1), Arg::Linked(linked)],
        )
    };
    let vmcall = Knows::blocks(1);
    assert!(matches!(
        call(&vmcall, SharedRef::Pages(&[])),
        Err(TransportError::Unsupported(_))
    ));
    assert!(vmcall.asked(&[]));
    let vmcall = Knows::blocks(0);
    assert_eq!(
        call(&vmcall, SharedRef::Pages(&PAGES)),
        Err(TransportError::Untranslatable {
            register: 1,
            nested: true
        })
    );
    assert!(vmcall.asked(&[(PAGES.as_ptr().addr(), 8192)]));
    // An address from elsewhere goes out as it is: the translator is only asked about the header.
    let vmcall = Knows::blocks(0);
    assert_eq!(
        call(&vmcall, SharedRef::Address(Gpa(0x1234))),
        Err(TransportError::Untranslatable {
            register: 1,
            nested: false
        })
    );
}

#[test]
fn a_header_without_room_for_the_address_is_not_issued() {
    let vmcall = Knows::blocks(1);
    let (mut header, array) = ([0; 24], [0; 32]);
    for offset in [17, usize::MAX] {
        vmcall.translate.left.set(1);
        let linked = Linked {
            header: &mut header,
            offset,
            target: Target::Read(&array),
        };
        assert!(matches!(
            vmcall.call(Calls::SET_MEMORY_REGIONS, [Arg::Linked(linked), Arg::None]),
            Err(TransportError::Unsupported(_))
        ));
    }
}

#[test]
fn another_worlds_message_is_never_passed_over() {
    let answers = answer_alone;
    for rax in [-1, -14, -25, 5, RAX_UNWRITTEN] {
        assert_eq!(answers(0x8000_0070, rax), Ok(rax));
    }
    assert!(matches!(
        answers(0x8000_0070, 0),
        Err(TransportError::Lost(_))
    ));
    // RAX is the request's: nothing but "no such call" can be an answer.
    for rax in [0, 1, -1, -22, i64::MAX] {
        assert!(matches!(
            answers(0x8000_0090, rax),
            Err(TransportError::Lost(_))
        ));
    }
    for rax in [-25, RAX_UNWRITTEN] {
        assert_eq!(answers(0x8000_0090, rax), Ok(rax));
    }
}

#[test]
fn a_secure_world_whose_parameter_has_no_address_is_not_started() {
    let vmcall = Knows::blocks(0);
    let param = TrustyBootParam::new(Gpa(0x1000), Gpa(0x1000), 4096, [0; 64]);
    let error = vmcall.start_secure_world(&param).unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Transport(TransportError::Untranslatable {
            register: 0,
            nested: false
        })
    );
    assert_eq!(error.call, Calls::INITIALIZE_TRUSTY);
    assert!(vmcall.asked(&[((&raw const param).addr(), 96)]));
}
