//! Each call of an interface, with values of all kinds.

use std::sync::Arc;

use hypercall_core::call::Direction;
use hypercall_trace::entry::{
    After, Argument, Block, Call, Entry, Link as EntryLink, Outcome, Target,
};
use hypercall_trace::schema::{Kind, LinkTarget, Register, Schema};

use super::Sample;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    const fn from(seed: u64) -> Self {
        Self(seed)
    }
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 20
    }
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[1]).collect()
    }
    /// A value of a kind: text is letters, enums and flags have values with a name and values without.
    fn value(&mut self, kind: &Kind, size: usize) -> Vec<u8> {
        let mut bytes = self.bytes(size);
        match kind {
            Kind::Text => {
                let end = usize::try_from(self.next()).unwrap() % size;
                for (at, byte) in bytes.iter_mut().enumerate() {
                    *byte = if at < end { b'a' + *byte % 26 } else { 0 };
                }
            }
            Kind::Enum(names) if !names.is_empty() && !self.next().is_multiple_of(3) => {
                let name = &names[usize::try_from(self.next()).unwrap() % names.len()];
                bytes.copy_from_slice(&name.value.to_le_bytes()[..size.min(8)]);
            }
            Kind::Flags(names) if !self.next().is_multiple_of(3) => {
                let bits = names
                    .iter()
                    .filter(|_| self.next().is_multiple_of(2))
                    .fold(0, |bits, name| bits | name.value);
                bytes.copy_from_slice(&bits.to_le_bytes()[..size.min(8)]);
            }
            Kind::Struct(info) => {
                for field in &info.fields {
                    let value = self.value(&field.kind, field.size);
                    bytes[field.offset..field.offset + field.size].copy_from_slice(&value);
                }
            }
            Kind::Array {
                element,
                size,
                length,
            } => {
                bytes = (0..*length)
                    .flat_map(|_| self.value(element, *size))
                    .collect();
            }
            _ => {}
        }
        bytes
    }
    fn block(&mut self, kind: &Kind, size: usize, direction: Direction) -> Block {
        Block {
            direction,
            length: size,
            before: match direction {
                Direction::Write => Vec::new(),
                _ => self.value(kind, size),
            },
            after: match direction {
                Direction::Read => After::Unchanged,
                _ => After::Changed(self.value(kind, size)),
            },
            link: None,
        }
    }
}

impl Sample {
    /// Each call of an interface as often as this, with values of all kinds.
    pub fn every_call(schema: Schema, times: u64) -> Self {
        let mut numbers = Numbers::from(7);
        let mut entries = Vec::new();
        let calls: Vec<_> = (0..times).flat_map(|_| schema.calls()).collect();
        for call in calls {
            let index = entries.len() as u64;
            let args = [0, 1].map(|register| match &call.registers[register] {
                Register::Unused => Argument::Unused,
                Register::Value { kind, .. } => {
                    let mut value = numbers.value(kind, 8);
                    if let (0, Some(selector)) = (register, call.selector) {
                        let other = u64::from_le_bytes(value.try_into().unwrap());
                        value = (other & !selector.mask | selector.value)
                            .to_le_bytes()
                            .to_vec();
                    }
                    Argument::Value(u64::from_le_bytes(value.try_into().unwrap()))
                }
                Register::Bytes { direction, .. } => {
                    let size = 1 + usize::try_from(numbers.next()).unwrap() % 40;
                    Argument::Block(numbers.block(&Kind::Unsigned, size, *direction))
                }
                Register::Block {
                    kind,
                    size,
                    direction,
                    link,
                    ..
                } => {
                    let mut block = numbers.block(kind, *size, *direction);
                    block.link = link.as_ref().map(|link| {
                        // Where the address stands there are zeros: a trace holds none.
                        block.before[link.offset..link.offset + 8].fill(0);
                        let target = match &link.target {
                            LinkTarget::Array {
                                kind,
                                size,
                                direction,
                                ..
                            } => {
                                let array = Kind::Array {
                                    element: Arc::new(kind.clone()),
                                    size: *size,
                                    length: 3,
                                };
                                Target::Block(Box::new(numbers.block(&array, 3 * size, *direction)))
                            }
                            LinkTarget::Shared if index.is_multiple_of(2) => {
                                Target::Address(numbers.next())
                            }
                            LinkTarget::Shared => Target::Pages {
                                count: 2,
                                page: Some(0),
                            },
                        };
                        EntryLink {
                            offset: link.offset,
                            target,
                        }
                    });
                    Argument::Block(block)
                }
            });
            let rax = match (
                index % 3,
                call.codes
                    .get(usize::try_from(index).unwrap() % call.codes.len().max(1)),
            ) {
                (1, Some(code)) => code.code,
                (2, _) => -4000 - index.cast_signed(),
                _ => 0,
            };
            entries.push(Entry::Call(Call {
                lane: 0,
                index,
                schema: Some(Arc::clone(call)),
                number: call.number,
                args,
                enter: 1_000_000 + index * 1000,
                duration: Some(numbers.next() % 100_000),
                outcome: Outcome::Returned(rax),
            }));
        }
        Self {
            schema,
            lanes: vec!["main".into()],
            entries,
            block: 1 << 16,
        }
    }
}
