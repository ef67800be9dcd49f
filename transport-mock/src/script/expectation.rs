//! One expected call: what it must be like, how often it comes, what it is answered.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use hypercall::arg::Arg;
use hypercall::call::{CallInfo, ResultInfo};
use hypercall::schema::Field;
use hypercall::{Payload, SharedRef, TransportError, Value, Yields};
use zerocopy::{Immutable, IntoBytes};

use super::answer::{Answer, Outcome, Write};
use super::check::Check;
use super::place::{Place, TO_THE_END};
use super::{Difference, Times};

/// An expected call. Made by [`expect`].
///
/// Memory is named by the schema: an argument (`to`), a field of a block (`x`, or `to.x` where two blocks have one), an
/// element (`points[2]`), and so on (`points[2].x`). What is named must be there, and values must have its width.
#[must_use = "an expectation is given to a script"]
pub struct Expectation {
    call: &'static CallInfo,
    checks: Vec<Check>,
    times: Times,
    answer: Answer,
    wrong: Vec<String>,
}

/// Expects a call once, with any arguments, and answers it with RAX 0.
pub fn expect(call: &'static CallInfo) -> Expectation {
    Expectation {
        call,
        checks: Vec::new(),
        times: Times::from(1),
        answer: Answer {
            writes: Vec::new(),
            outcome: Outcome::Fixed(Ok(0)),
        },
        wrong: Vec::new(),
    }
}

/// What the call must be like.
impl Expectation {
    /// An argument that travels in a register has this value.
    pub fn arg(self, name: &str, value: impl Value) -> Self {
        let check = Check::value(self.call, name, value.to_register());
        self.check(check)
    }

    /// A field or an element has this value.
    pub fn field<F: Field + IntoBytes + Immutable>(self, path: &str, value: F) -> Self {
        self.bytes(path, value.as_bytes())
    }

    /// A field has this text: its bytes, and zeros up to the field's end.
    pub fn text(self, path: &str, text: &str) -> Self {
        let size = Place::find(self.call, path).map_or(0, |place| place.field.size);
        let mut bytes = text.as_bytes().to_vec();
        if size != TO_THE_END && size > bytes.len() {
            bytes.resize(size, 0);
        }
        self.bytes(path, &bytes)
    }

    /// The block that an argument points at has this content.
    pub fn block<P: Payload>(self, name: &str, content: &P) -> Self {
        self.bytes(name, content.as_block())
    }

    /// The array that an argument points at has these elements, and no more.
    pub fn array<P: Payload>(self, name: &str, elements: &[P]) -> Self {
        self.bytes(name, P::array_block(elements))
    }

    /// Any of what [`field`](Expectation::field), [`block`](Expectation::block) and [`array`](Expectation::array)
    /// name, or bytes that the interface does not describe, are these.
    ///
    /// Of a block that yields the call's result, the result is no part of the demand: the client overwrites it before the call.
    pub fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        let check = sized(self.call, path, bytes.len()).map(|place| {
            let mut expected = bytes.to_vec();
            if let ResultInfo::Yielded {
                register, unset, ..
            } = self.call.result
                && place.is_in(register)
            {
                unset(&mut expected);
            }
            Check::Bytes { place, expected }
        });
        self.check(check)
    }

    /// An argument that the hypervisor keeps is this memory.
    pub fn shared(self, name: &str, memory: impl Into<SharedRef>) -> Self {
        let check = Check::shared(self.call, name, memory.into());
        self.check(check)
    }

    /// Anything else that can be told from the arguments: what it is, in words for the report, and whether it is so.
    ///
    /// The predicate must not use the script.
    pub fn matching(
        self,
        what: &str,
        test: impl Fn(&[Arg<'_>; 2]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.check(Ok(Check::Predicate {
            what: what.into(),
            test: Box::new(test),
        }))
    }

    /// How often: `3`, `1..=3`, `..=3`, `2..`, `..`. Once, where nothing is said.
    pub fn times(mut self, times: impl Into<Times>) -> Self {
        self.times = times.into();
        if !self.times.can_be() {
            let times = self.times;
            self.wrong.push(format!("{times} is never"));
        }
        self
    }
}

/// What it is answered. Memory that nothing is said about is left as it is.
impl Expectation {
    /// RAX.
    pub fn rax(mut self, rax: i64) -> Self {
        self.answer.outcome = Outcome::Fixed(Ok(rax));
        self
    }

    /// No answer.
    pub fn fails(mut self, error: TransportError) -> Self {
        self.answer.outcome = Outcome::Fixed(Err(error));
        self
    }

    /// RAX or no answer, and changes of memory, as a closure decides for each call.
    pub fn answers(
        mut self,
        answer: impl Fn(&mut [Arg<'_>; 2]) -> Result<i64, TransportError> + Send + Sync + 'static,
    ) -> Self {
        self.answer.outcome = Outcome::Closure(Box::new(answer));
        self
    }

    /// The block that the call writes or returns becomes this.
    pub fn writes<P: Payload>(self, block: &P) -> Self {
        let bytes = block.as_block().to_vec();
        self.write(Write::Whole(bytes))
    }

    /// The array that the call writes becomes this.
    pub fn writes_array<P: Payload>(self, elements: &[P]) -> Self {
        let bytes = P::array_block(elements).to_vec();
        self.write(Write::Whole(bytes))
    }

    /// The first bytes that the call writes become these.
    pub fn writes_bytes(self, bytes: &[u8]) -> Self {
        self.write(Write::Start(bytes.to_vec()))
    }

    /// A field or an element that the call writes becomes this.
    pub fn writes_field<F: Field + IntoBytes + Immutable>(mut self, path: &str, value: F) -> Self {
        match sized(self.call, path, size_of::<F>()) {
            Ok(place) => self.write(Write::Part(place, value.as_bytes().to_vec())),
            Err(why) => {
                self.wrong.push(why);
                self
            }
        }
    }

    /// The block that the call writes says that this is the result, as a server's would.
    pub fn yields<P: Yields<R>, R: Clone + Send + Sync + 'static>(self, result: R) -> Self {
        self.write(Write::Change(Box::new(move |output| {
            let mut payload = P::zeroed();
            let block = payload.as_block_mut();
            if block.len() != output.len() {
                return false;
            }
            block.copy_from_slice(output);
            payload.store(result.clone());
            output.copy_from_slice(payload.as_block());
            true
        })))
    }
}

impl Expectation {
    fn check(mut self, check: Result<Check, String>) -> Self {
        match check {
            Ok(check) => self.checks.push(check),
            Err(why) => self.wrong.push(why),
        }
        self
    }

    fn write(mut self, write: Write) -> Self {
        self.answer.writes.push(write);
        self
    }

    pub(super) const fn call(&self) -> &'static CallInfo {
        self.call
    }

    pub(super) const fn how_often(&self) -> Times {
        self.times
    }

    pub(super) fn wrong(&self) -> &[String] {
        &self.wrong
    }

    pub(super) fn differences(&self, args: &[Arg<'_>; 2]) -> Vec<Difference> {
        let mut found = vec![];
        for check in &self.checks {
            check.differences(args, &mut found);
        }
        found
    }

    pub(super) fn answer(
        &self,
        args: &mut [Arg<'_>; 2],
    ) -> Result<Result<i64, TransportError>, String> {
        self.answer.give(args)
    }
}

/// The place of this name, where it has so many bytes.
fn sized(call: &'static CallInfo, path: &str, size: usize) -> Result<Place, String> {
    let place = Place::find(call, path)?;
    match place.field.size {
        TO_THE_END => Ok(place),
        wanted if wanted == size => Ok(place),
        wanted => Err(format!(
            "`{path}` has {wanted} bytes, what it is compared with or set to has {size}"
        )),
    }
}

/// In the form of a call: `lift(pen=1) 2 times`.
impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.call.name)?;
        for (position, check) in self.checks.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { ", " })?;
            check.fmt(f)?;
        }
        f.write_str(if self.checks.is_empty() { "…)" } else { ")" })?;
        if self.times == Times::from(1) {
            Ok(())
        } else {
            write!(f, ", {}", self.times)
        }
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
