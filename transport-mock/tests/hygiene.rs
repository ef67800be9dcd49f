//! Interfaces that try to trip the generated code up: names that it uses itself, types that hide the prelude's, traits
//! in odd places. That the file compiles without a warning is most of the test.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub, reason = "the names are the point")]
#![allow(
    clippy::wrong_self_convention,
    clippy::new_ret_no_self,
    clippy::should_implement_trait,
    clippy::needless_borrows_for_generic_args,
    reason = "the names are the point, and so are references to references"
)]

extern crate hypercall_core as hypercall;

use hypercall::Client;
use hypercall::server::Serve;
use hypercall_mock::Ram;
use hypercall_mock::loopback::Loopback;

fn over<S: Serve>(server: S) -> Client<Loopback<S, Ram>> {
    Client::new(Loopback::new(
        server,
        Ram::new(32),
        hypercall::Gpa(0x1000),
        0x10000,
    ))
}

/// Arguments and methods that are called like something in the generated code.
mod names {
    use hypercall::{Error, Payload};
    use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
    )]
    #[repr(C, packed)]
    pub struct Header {
        pub r#type: u8,
        pub call: u16,
        pub rules: u64,
    }

    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
    )]
    #[repr(C)]
    pub struct Item {
        pub value: u32,
    }

    #[hypercall::interface]
    pub trait Names {
        #[call(1, result = rax)]
        fn implementation(&self, implementation: u8, call: u8) -> Result<u16, Error>;
        #[call(2, result = memory)]
        fn memory(&self, args: u8, memory: &mut Item) -> Result<u32, Error>;
        #[call(3, header(Header { r#type: r#type, call: call.len(), rules: &call }))]
        fn rules(&self, r#type: u8, call: &[Item], registers: u8) -> Result<(), Error>;
        #[call(4, result = rax)]
        fn transport(&self, _unused: u8) -> Result<u8, Error>;
        #[call(5, result = rax)]
        fn new(&self) -> Result<u8, Error>;
        #[call(6, result = rax)]
        fn into(&self) -> Result<u8, Error>;
        #[call(7, result = rax)]
        fn r#loop(&self, r#fn: u8) -> Result<u8, Error>;
        #[call(8)]
        fn invoke(&self, step: &mut [u8], count: u32) -> Result<(), Error>;
        /// Costs $5, or $crate, or $($x:tt)*; `{}` and "quotes" too.
        #[deprecated]
        #[call(9, result = rax)]
        fn serve(&self, self_: u8) -> Result<u8, Error>;
        #[deprecated]
        fn provided(&self, mut value: u8) -> u8 {
            value += 1;
            value
        }
        #[call(10, result = rax)]
        fn clone(&self) -> Result<u8, Error>;
    }
}

struct Answers;
impl names::Names for Answers {
    fn implementation(&self, implementation: u8, call: u8) -> Result<u16, hypercall::Error> {
        Ok(u16::from(implementation) * 256 + u16::from(call))
    }
    fn memory(&self, args: u8, memory: &mut names::Item) -> Result<u32, hypercall::Error> {
        Ok(memory.value + u32::from(args))
    }
    fn rules(
        &self,
        r#type: u8,
        call: &[names::Item],
        registers: u8,
    ) -> Result<(), hypercall::Error> {
        assert_eq!((r#type, registers), (3, 4));
        assert_eq!(call, [names::Item { value: 5 }]);
        Ok(())
    }
    fn transport(&self, unused: u8) -> Result<u8, hypercall::Error> {
        Ok(unused)
    }
    fn new(&self) -> Result<u8, hypercall::Error> {
        Ok(5)
    }
    fn into(&self) -> Result<u8, hypercall::Error> {
        Ok(6)
    }
    fn r#loop(&self, r#fn: u8) -> Result<u8, hypercall::Error> {
        Ok(r#fn)
    }
    fn invoke(&self, _: &mut [u8], _: u32) -> Result<(), hypercall::Error> {
        Ok(())
    }
    fn serve(&self, self_: u8) -> Result<u8, hypercall::Error> {
        Ok(self_)
    }
    fn clone(&self) -> Result<u8, hypercall::Error> {
        Ok(10)
    }
}

impl hypercall::Yields<u32> for names::Item {
    fn yielded(&self) -> Result<u32, hypercall::Rejection> {
        Ok(self.value)
    }
    fn store(&mut self, value: u32) {
        self.value = value;
    }
    fn store_failure(&mut self) {}
}

#[test]
fn arguments_and_methods_may_have_any_name() {
    use names::{Names, NamesCalls, NamesServer};
    fn through<N: Names>(names: N) {
        assert_eq!(Names::implementation(&names, 1, 2), Ok(0x102));
        assert_eq!(
            Names::memory(&names, 1, &mut names::Item { value: 41 }),
            Ok(42)
        );
        assert_eq!(
            Names::rules(&names, 3, &[names::Item { value: 5 }], 4),
            Ok(())
        );
        assert_eq!(Names::transport(&names, 4), Ok(4));
        assert_eq!(Names::new(&names), Ok(5));
        assert_eq!(Names::into(&names), Ok(6));
        assert_eq!(Names::r#loop(&names, 7), Ok(7));
        assert_eq!(Names::clone(&names), Ok(10));
        #[allow(deprecated)]
        let provided = Names::provided(&names, 1);
        assert_eq!(provided, 2);
    }
    let client = over(NamesServer::new(Answers));
    through(&client);
    through(&&client);
    through(&client as &dyn Names);
    through(Box::new(client) as Box<dyn Names>);
    assert_eq!(NamesCalls::LOOP.name, "loop");
    assert!(format!("{:?}", NamesCalls::LOOP.registers[0]).contains("name: \"fn\""));
    let hypercall::schema::Kind::Struct(header) = <names::Header as hypercall::Payload>::KIND
    else {
        panic!("a struct");
    };
    assert_eq!(
        (header.fields[0].name, header.fields[2].offset),
        ("type", 3)
    );
}

/// A module in which nothing means what it usually means.
#[allow(dead_code, clippy::upper_case_acronyms)]
mod hidden_prelude {
    #![no_implicit_prelude]
    use ::hypercall_core::Payload;
    use ::zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Err;
    pub struct Vec;
    pub struct Box;
    pub struct Arc;
    pub struct String;
    pub trait Clone {}
    pub trait Copy {}
    pub trait Debug {}
    pub trait Default {}
    pub trait From {}
    pub trait Into {}
    pub trait Value {}
    pub trait Field {}
    pub type Result<T> = ::core::result::Result<T, ::hypercall_core::Error>;

    #[derive(
        ::core::clone::Clone,
        ::core::marker::Copy,
        FromBytes,
        IntoBytes,
        Immutable,
        KnownLayout,
        Payload,
    )]
    #[repr(C)]
    #[payload(crate = ::hypercall_core)]
    pub struct Block {
        pub id: Id,
        pub mode: Mode,
        pub bits: Bits,
        #[payload(text)]
        pub text: [u8; 10],
    }

    ::hypercall_core::register_id! { pub struct Id(u16); }
    ::hypercall_core::open_enum! { pub struct Mode(u16) { A = 0, B = 1 } }
    ::hypercall_core::flags! { pub struct Bits(u16) { A = 1 } }

    #[::hypercall_core::interface(crate = ::hypercall_core)]
    pub trait Hidden {
        #[call(1)]
        fn one(&self, id: Id, block: &mut Block) -> Result<()>;
        #[call(2)]
        fn two(&self, bits: Bits) -> Result<Block>;
        #[call(3, result = rax)]
        fn three(&self, bytes: &[u8]) -> Result<Mode>;
    }
}

#[test]
fn a_trait_may_stand_anywhere() {
    use hypercall::Error;

    #[hypercall::interface]
    trait Inside {
        #[call(1, result = rax)]
        fn answer(&self) -> Result<u8, Error>;
    }
    struct Yes;
    impl Inside for Yes {
        fn answer(&self) -> Result<u8, Error> {
            Ok(42)
        }
    }
    assert_eq!(over(InsideServer::new(Yes)).answer(), Ok(42));
    assert_eq!(InsideCalls::ANSWER.number, 1);
}

mod outer {
    mod inner {
        #[hypercall::interface]
        pub(in super::super) trait Scoped {
            #[call(1)]
            fn call(&self, info: u8) -> Result<(), hypercall::Error>;
        }
        #[hypercall::interface]
        pub(crate) trait Empty {}
    }
    pub(super) use inner::{Empty, EmptyServer, Scoped, ScopedCalls, ScopedServer};
}

#[test]
fn a_trait_may_have_any_visibility() {
    struct Nothing;
    impl outer::Scoped for Nothing {
        fn call(&self, info: u8) -> Result<(), hypercall::Error> {
            Err(hypercall::Error::refused(
                outer::ScopedCalls::CALL,
                [info.into(), 0],
                -1,
            ))
        }
    }
    impl outer::Empty for Nothing {}
    let client = over(outer::ScopedServer::new(Nothing));
    assert_eq!(
        outer::Scoped::call(&client, 1).unwrap_err().code(),
        Some(-1)
    );
    let empty = outer::EmptyServer::new(Nothing);
    let registers = hypercall::server::Registers {
        number: 1,
        args: [0; 2],
    };
    assert_eq!(empty.serve(registers, &Ram::new(1)), Ok(-25));
}

/// An interface that a macro writes: its types and numbers arrive in invisible groups.
macro_rules! write_interface {
    ($name:ident, $number:expr, $value:ty, $block:ty, $bytes:ty, $result:ty) => {
        #[hypercall::interface]
        pub trait $name {
            #[call($number)]
            fn call(&self, block: $block, bytes: $bytes) -> $result;
            #[call(2, result = rax)]
            fn value(&self, value: $value) -> Result<u8, hypercall::Error>;
        }
    };
}
write_interface!(Written, 0x1, u8, &mut names::Item, &[u8], Result<(), hypercall::Error>);

#[test]
fn a_macro_may_write_a_trait() {
    use hypercall::call::{Direction, RegisterInfo};
    let [
        RegisterInfo::Block {
            direction: Direction::ReadWrite,
            ..
        },
        RegisterInfo::Bytes { .. },
    ] = WrittenCalls::CALL.registers
    else {
        panic!("{:?}", WrittenCalls::CALL.registers);
    };
    assert!(matches!(
        PassedCalls::CALL.registers[1],
        RegisterInfo::Bytes { .. }
    ));
}

/// An interface whose attribute comes from a macro, and whose methods come from its caller.
macro_rules! pass_methods {
    ($name:ident { $($methods:tt)* }) => {
        #[hypercall::interface]
        pub trait $name { $($methods)* }
    };
}
pass_methods!(Passed {
    #[call(1)]
    fn call(&self, block: &mut names::Item, items: &[u8]) -> Result<(), hypercall::Error>;
});

/// The callback hands the whole definition on, documentation with `$` included.
macro_rules! count_functions {
    ($($definition:tt)*) => { stringify!($($definition)*).matches("fn ").count() };
}

#[test]
fn the_callback_survives_its_own_documentation() {
    #[allow(dead_code)]
    #[hypercall::interface]
    /// It costs $5 or $crate, $($x:tt)* if you must.
    trait Costly {
        /// More than $x.
        #[call(1)]
        fn pay(&self) -> Result<(), hypercall::Error>;
    }
    assert_eq!(costly_interface!(count_functions), 1);
}
/// What the mock and the async twin are made from has the same odd names.
#[cfg(feature = "mockall")]
#[allow(dead_code)]
mod mocked {
    use super::names::Item;
    use hypercall::Error;

    #[hypercall::interface]
    pub trait Odd {
        #[call(1, result = rax)]
        fn implementation(&self, implementation: u8, call: u8) -> Result<u16, Error>;
        #[call(2, result = memory)]
        fn memory(&self, args: u8, memory: &mut Item) -> Result<u32, Error>;
        #[call(7, result = rax)]
        fn r#loop(&self, r#fn: u8) -> Result<u8, Error>;
        #[call(8)]
        fn invoke(&self, step: &mut [u8], _count: u32) -> Result<(), Error>;
        /// Costs $5, or $crate, or $($x:tt)*; `{}` and "quotes" too.
        #[deprecated]
        #[call(9, result = rax)]
        fn serve(&self, self_: u8) -> Result<u8, Error>;
        fn provided(&self, mut value: u8) -> u8 {
            value += 1;
            value
        }
    }
    odd_interface!(hypercall_mock::mock);

    #[test]
    fn a_mock_may_have_any_names() {
        let mut mock = MockOdd::new();
        mock.expect_loop().returning(Ok);
        assert_eq!(mock.provided(3), 4);
        let object: Box<dyn Odd> = Box::new(mock);
        assert_eq!(object.r#loop(3), Ok(3));
    }
}
