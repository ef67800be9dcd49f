//! What is called X in one run and Y in another: names that a hypervisor gave out, and addresses.
//!
//! The first sight of a pair ties the two; from then on both sides have to keep to it. Zero and all ones stand for
//! themselves: they mean "none", "the caller", "invalid".

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hypercall_core::schema::Role;
use serde::Serialize;

use super::leaf::{Leaf, handles};
use crate::schema::{self, Kind, ResultKind, Schema};

/// Names of one kind: `VmId`, `Gpa`. What is equal in two spaces is not the same thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Space {
    handle: bool,
    name: Arc<str>,
}

impl Space {
    /// The space of a value, where it is a name or an address.
    pub(crate) fn of<P>(leaf: &Leaf<'_, P>) -> Option<Self> {
        leaf.is_bound().then(|| Self {
            handle: leaf.role == Role::Handle,
            name: match leaf.kind {
                Kind::Id(name) => name.as_str().into(),
                _ => Arc::default(),
            },
        })
    }

    /// The space of the names of a type that a hypervisor gives out.
    pub(crate) fn handles(name: &str) -> Self {
        Self {
            handle: true,
            name: name.into(),
        }
    }

    /// The space of the addresses of a caller's own memory.
    pub(crate) fn gpa() -> Self {
        Self {
            handle: false,
            name: "Gpa".into(),
        }
    }

    /// Whether it is of names that a hypervisor gave out.
    pub(crate) const fn is_handle(&self) -> bool {
        self.handle
    }

    /// What a name of the space is shown as.
    pub(crate) fn show(&self, value: u64) -> String {
        match &*self.name {
            "" => format!("{value:#x}"),
            name if self.handle => format!("{name}({value})"),
            name => format!("{name}({value:#x})"),
        }
    }
}

/// Where something was seen: a call by its lane and index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Seen {
    /// The lane's name.
    pub lane: String,
    /// The call's index in its lane, as recorded.
    pub index: u64,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.lane, self.index)
    }
}

/// Whether a value stands for itself.
pub(crate) const fn is_fixed(value: u64) -> bool {
    matches!(value, 0 | 0xffff | 0xffff_ffff | u64::MAX)
}

#[derive(Clone, Debug)]
struct Tied {
    other: u64,
    /// Where it was tied.
    lane: Arc<str>,
    index: u64,
}

impl Tied {
    fn since(&self) -> Seen {
        Seen {
            lane: self.lane.to_string(),
            index: self.index,
        }
    }
}

/// A pair that was seen.
#[derive(Clone, Debug)]
pub(crate) struct Tie {
    pub(crate) space: Space,
    pub(crate) expected: u64,
    pub(crate) found: u64,
}

/// Why a pair does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Untied {
    /// A value that stands for itself does not.
    Fixed,
    /// The expected value is tied to another one.
    Expected { to: u64, since: Option<Seen> },
    /// The found value is tied to another one.
    Found { to: u64, since: Option<Seen> },
}

/// All pairs that were tied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings {
    /// The types of ids that are names: what comes back in RAX says nothing of its role.
    handles: Arc<BTreeSet<String>>,
    forward: BTreeMap<Space, BTreeMap<u64, Tied>>,
    backward: BTreeMap<Space, BTreeMap<u64, Tied>>,
    /// The lanes in which pairs were tied: each name once, however many pairs there are.
    lanes: BTreeSet<Arc<str>>,
    /// How many pairs are tied.
    ties: usize,
    /// How many were not, since too many are.
    untied: u64,
}

/// Pairs that are tied at most: they would take more memory than there is, in a trace that is larger than that.
pub(crate) const MAX_TIES: usize = 1 << 20;

impl Bindings {
    /// No pair yet, between runs of these interfaces.
    pub(crate) fn of(schema: &Schema) -> Self {
        Self {
            handles: handles(schema).into(),
            ..Self::default()
        }
    }

    /// No pair yet, between other runs of the same interfaces.
    pub(crate) fn anew(&self) -> Self {
        Self {
            handles: Arc::clone(&self.handles),
            ..Self::default()
        }
    }

    /// The space of the name that this call gives out in RAX, where it does.
    pub(crate) fn given_in_rax(&self, call: Option<&schema::Call>) -> Option<Space> {
        match &call?.result {
            ResultKind::Rax(Kind::Id(name)) if self.handles.contains(name) => {
                Some(Space::handles(name))
            }
            _ => None,
        }
    }

    /// The value that stands for an expected one, where there is one by now.
    pub(crate) fn found(&self, space: &Space, expected: u64) -> Option<u64> {
        if is_fixed(expected) {
            return Some(expected);
        }
        Some(self.forward.get(space)?.get(&expected)?.other)
    }

    fn check(&self, space: &Space, expected: u64, found: u64) -> Result<bool, Untied> {
        if is_fixed(expected) || is_fixed(found) {
            return if expected == found {
                Ok(false)
            } else {
                Err(Untied::Fixed)
            };
        }
        let there = self.forward.get(space).and_then(|ties| ties.get(&expected));
        let back = self.backward.get(space).and_then(|ties| ties.get(&found));
        match (there, back) {
            (Some(tied), _) if tied.other == found => Ok(false),
            (Some(tied), _) => Err(Untied::Expected {
                to: tied.other,
                since: Some(tied.since()),
            }),
            (None, Some(tied)) => Err(Untied::Found {
                to: tied.other,
                since: Some(tied.since()),
            }),
            (None, None) => Ok(true),
        }
    }

    /// Ties a pair; what either was tied to before is forgotten. For a name that was given out anew.
    pub(crate) fn tie(&mut self, tie: &Tie, since: &Seen) {
        if is_fixed(tie.expected) || is_fixed(tie.found) {
            return;
        }
        let forward = self.forward.entry(tie.space.clone()).or_default();
        let backward = self.backward.entry(tie.space.clone()).or_default();
        let known = forward.contains_key(&tie.expected) || backward.contains_key(&tie.found);
        if !known && self.ties >= MAX_TIES {
            self.untied = self.untied.saturating_add(1);
            return;
        }
        let lane = match self.lanes.get(&*since.lane) {
            Some(lane) => Arc::clone(lane),
            None => {
                let lane: Arc<str> = since.lane.as_str().into();
                self.lanes.insert(Arc::clone(&lane));
                lane
            }
        };
        let tied = |other| Tied {
            other,
            lane: Arc::clone(&lane),
            index: since.index,
        };
        let there = forward.insert(tie.expected, tied(tie.found));
        let back = backward.insert(tie.found, tied(tie.expected));
        if there.is_none() {
            self.ties = self.ties.saturating_add(1);
        }
        if let Some(old) = there.filter(|old| old.other != tie.found) {
            backward.remove(&old.other);
        }
        if let Some(old) = back.filter(|old| old.other != tie.expected)
            && forward.remove(&old.other).is_some()
        {
            self.ties = self.ties.saturating_sub(1);
        }
    }

    /// As if there were as many ties as are kept.
    #[cfg(test)]
    pub(crate) const fn fill(&mut self) {
        self.ties = MAX_TIES;
    }

    /// How many pairs were not tied, since [`MAX_TIES`] are.
    pub(crate) const fn untied(&self) -> u64 {
        self.untied
    }

    /// The value that stands for an expected one that is handed out now: itself, unless that is taken.
    pub(crate) fn hand_out(
        &mut self,
        space: &Space,
        expected: u64,
        size: usize,
        since: &Seen,
    ) -> u64 {
        if let Some(found) = self.found(space, expected) {
            return found;
        }
        let taken = self.backward.entry(space.clone()).or_default();
        let step = if space.handle { 1 } else { 0x1000 };
        let mask = match size {
            1 => 0xff,
            2 => 0xffff,
            4 => 0xffff_ffff,
            _ => u64::MAX,
        };
        let mut found = expected;
        // More tries than there are ties: one of them is free.
        for _ in 0..=taken.len().saturating_add(4) {
            if !taken.contains_key(&found) && !is_fixed(found) {
                break;
            }
            found = found.wrapping_add(step) & mask;
        }
        self.tie(
            &Tie {
                space: space.clone(),
                expected,
                found,
            },
            since,
        );
        found
    }
}

/// Pairs that a comparison would tie, on top of those that are tied.
#[derive(Debug)]
pub(crate) struct Trial<'b> {
    base: &'b Bindings,
    pub(crate) new: Vec<Tie>,
    /// Where in it each value is first: a call may have a name in each of its bytes.
    places: BTreeMap<Space, Places>,
}

/// Expected and found values of one space, each with the first pair that it is in.
#[derive(Debug, Default)]
struct Places {
    expected: HashMap<u64, usize>,
    found: HashMap<u64, usize>,
}

impl<'b> Trial<'b> {
    pub(crate) fn new(base: &'b Bindings) -> Self {
        Self {
            base,
            new: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// Whether a pair holds. If it is new, it is tied within the trial.
    pub(crate) fn agree(&mut self, space: &Space, expected: u64, found: u64) -> Result<(), Untied> {
        if !self.base.check(space, expected, found)? {
            return Ok(());
        }
        // The first pair that either is in.
        let places = self.places.get(space);
        let there = places.and_then(|places| {
            let there = places.expected.get(&expected).into_iter();
            there.chain(places.found.get(&found)).min().copied()
        });
        match there.and_then(|there| self.new.get(there)) {
            None => self.push(space, expected, found),
            Some(tie) if tie.expected != expected => {
                return Err(Untied::Found {
                    to: tie.expected,
                    since: None,
                });
            }
            Some(tie) if tie.found != found => {
                return Err(Untied::Expected {
                    to: tie.found,
                    since: None,
                });
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn push(&mut self, space: &Space, expected: u64, found: u64) {
        // Its name is kept once.
        let there = self.places.get_key_value(space);
        let space = there.map_or(space, |(there, _)| there).clone();
        let places = self.places.entry(space.clone()).or_default();
        let place = self.new.len();
        places.expected.entry(expected).or_insert(place);
        places.found.entry(found).or_insert(place);
        self.new.push(Tie {
            space,
            expected,
            found,
        });
    }

    /// Ties a pair within the trial whatever was tied before: a name that was given out anew.
    pub(crate) fn renew(&mut self, space: &Space, expected: u64, found: u64) -> Result<(), Untied> {
        if is_fixed(expected) || is_fixed(found) {
            return if expected == found {
                Ok(())
            } else {
                Err(Untied::Fixed)
            };
        }
        self.push(space, expected, found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Bindings, MAX_TIES, Seen, Space, Tie};

    #[test]
    fn pairs_are_bounded_and_those_beyond_are_counted() {
        let mut bindings = Bindings::default();
        let seen = Seen {
            lane: String::new(),
            index: 0,
        };
        let space = Space::gpa();
        let mut tie = |expected, found| {
            let space = space.clone();
            let tie = Tie {
                space,
                expected,
                found,
            };
            bindings.tie(&tie, &seen);
            (bindings.ties, bindings.untied())
        };
        // Values that stand for themselves are none of them.
        let first = 0x1_0000_0000;
        for value in first.. {
            if tie(value, value) == (MAX_TIES, 1) {
                break;
            }
        }
        // A name that is given out anew is tied anew.
        assert_eq!(tie(first, first + 1), (MAX_TIES - 1, 1));
        assert_eq!(tie(1, 2), (MAX_TIES, 1));
        assert_eq!(tie(2, 3), (MAX_TIES, 2));
        assert_eq!(bindings.found(&space, first), Some(first + 1));
        assert_eq!(bindings.found(&space, 2), None);
    }

    /// A lane's name may be long, and pairs are many.
    #[test]
    fn a_lane_s_name_is_kept_once() {
        let mut bindings = Bindings::default();
        let space = Space::gpa();
        for index in 1..=2 {
            let tie = Tie {
                space: space.clone(),
                expected: index,
                found: index,
            };
            let lane = "main".to_owned();
            bindings.tie(&tie, &Seen { lane, index });
        }
        let lane = |value| {
            let tied = &bindings.forward[&space][&value];
            assert_eq!(tied.since().to_string(), format!("main#{value}"));
            Arc::clone(&tied.lane)
        };
        assert!(Arc::ptr_eq(&lane(1), &lane(2)));
    }
}
