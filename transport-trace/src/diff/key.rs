//! The key of a call: what makes it the same call in another run. Plain values count; a name that the hypervisor gave out
//! is known by the call that it came from, and addresses do not count.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use hypercall_core::schema::Role;

use super::units::Unit;
use crate::entry::{Argument, Call, Link, Target};
use crate::replay::bind::{MAX_TIES, Space, is_fixed};
use crate::replay::leaf::{each_in_block, each_in_register, place_of, unsigned};
use crate::schema::{Kind, ResultKind};

/// The keys of one trace's calls.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// What each name came from.
    births: BTreeMap<Space, BTreeMap<u64, u64>>,
    /// How many names that are.
    born: usize,
    /// How often a call of this key gave a name out.
    given: BTreeMap<u64, u64>,
}

impl Keys {
    /// The key of the next unit.
    pub(super) fn next(&mut self, unit: &Unit) -> u64 {
        match unit {
            Unit::Missing { .. } => 0,
            Unit::Call(around) => {
                let key = self.of(&around.call);
                self.learn(&around.call, key);
                key
            }
        }
    }

    fn of(&self, call: &Call) -> u64 {
        let schema = call.schema.as_deref();
        let mut hash = DefaultHasher::new();
        call.name().hash(&mut hash);
        call.number.hash(&mut hash);
        for (number, argument) in call.args.iter().enumerate() {
            match argument {
                Argument::Unused => 0_u8.hash(&mut hash),
                Argument::Value(value) => {
                    let bytes = value.to_le_bytes();
                    each_in_register(schema, number, &mut |leaf| {
                        if let Some(bytes) = leaf.of(&bytes) {
                            self.value(Space::of(&leaf), leaf.role, bytes, &mut hash);
                        }
                    });
                }
                Argument::Block(block) => {
                    for nested in [false, true] {
                        let place = place_of(number, nested);
                        let Some(block) = call.block(place) else {
                            continue;
                        };
                        let bytes = block.before_bytes();
                        block.length.hash(&mut hash);
                        each_in_block(schema, place, block.length, &mut |leaf| {
                            if let Some(bytes) = leaf.of(&bytes) {
                                self.value(Space::of(&leaf), leaf.role, bytes, &mut hash);
                            }
                        });
                    }
                    if let Some(Link {
                        target: Target::Pages { count, .. },
                        ..
                    }) = &block.link
                    {
                        count.hash(&mut hash);
                    }
                }
            }
        }
        hash.finish()
    }

    fn value(&self, space: Option<Space>, role: Role, bytes: &[u8], hash: &mut DefaultHasher) {
        match (space, role) {
            (Some(space), Role::Handle) => {
                let value = unsigned(bytes);
                let births = self.births.get(&space);
                let birth = births.and_then(|births| births.get(&value).copied());
                birth.unwrap_or(value).hash(hash);
            }
            (_, Role::Plain) => bytes.hash(hash),
            _ => {}
        }
    }

    /// Whether there is room for more.
    fn has_room(&self) -> bool {
        self.born.max(self.given.len()) < MAX_TIES
    }

    /// Notes what a name came from.
    fn bear(&mut self, space: Space, value: u64, birth: u64) {
        if self.has_room() {
            let births = self.births.entry(space).or_default();
            let new = births.insert(value, birth).is_none();
            self.born = self.born.saturating_add(usize::from(new));
        }
    }

    /// Notes the names that a call gave out. Beyond as many as are tied, a name is known by its value.
    fn learn(&mut self, call: &Call, key: u64) {
        if !self.has_room() {
            return;
        }
        let result = call.schema.as_deref().map(|schema| &schema.result);
        if let Some(ResultKind::Rax(Kind::Id(name))) = result
            && let Some(value) = call.rax().and_then(|rax| u64::try_from(rax).ok())
            && !is_fixed(value)
        {
            let count = self.given.entry(key).or_default();
            *count = count.saturating_add(1);
            let mut hash = DefaultHasher::new();
            (key, *count, "RAX").hash(&mut hash);
            self.bear(Space::handles(name), value, hash.finish());
        }
        let Some(ResultKind::Yielded(register)) = result else {
            return;
        };
        let place = place_of(*register, false);
        let Some(after) = call.block(place).and_then(crate::entry::Block::after_bytes) else {
            return;
        };
        if call.rax() != Some(0) {
            return;
        }
        let count = self.given.entry(key).or_default();
        *count = count.saturating_add(1);
        let count = *count;
        each_in_block(call.schema.as_deref(), place, after.len(), &mut |leaf| {
            if let (Some(space), Some(bytes)) = (Space::of(&leaf), leaf.of(&after))
                && space.is_handle()
                && !is_fixed(unsigned(bytes))
            {
                let mut hash = DefaultHasher::new();
                (key, count, leaf.path.to_string()).hash(&mut hash);
                self.bear(space, unsigned(bytes), hash.finish());
            }
        });
    }
}
