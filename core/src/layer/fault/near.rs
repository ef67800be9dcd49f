//! The name that was meant, where a plan has one that nothing has.

use core::fmt;

use crate::call::{CallInfo, InterfaceInfo};

/// A name of a plan's text, of which an error keeps the beginning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Self::LONGEST],
    length: usize,
    cut: bool,
}

impl Name {
    /// Bytes of a name that are kept.
    pub const LONGEST: usize = 32;

    /// Keeps whole characters.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let length = (0..=Self::LONGEST.min(name.len()))
            .rev()
            .find(|end| name.is_char_boundary(*end))
            .unwrap_or(0);
        let mut bytes = [0; Self::LONGEST];
        for (to, from) in bytes.iter_mut().zip(name.as_bytes()).take(length) {
            *to = *from;
        }
        Self {
            bytes,
            length,
            cut: length < name.len(),
        }
    }

    /// What is kept of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let kept = self.bytes.get(..self.length).unwrap_or_default();
        core::str::from_utf8(kept).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        f.write_str(if self.cut { "…" } else { "" })
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The call whose name comes nearest, where one is near.
pub(super) fn nearest(name: &str, interface: &'static InterfaceInfo) -> Option<&'static str> {
    let name = Name::new(name);
    let name = name.as_str();
    let near = |call: &&'static CallInfo| (distance(name, call.name), call.name);
    let calls = interface.calls.iter();
    let (distance, nearest) = calls.map(near).min()?;
    // Of a short name not much may be wrong: it would be near to everything.
    (distance <= 3.min(name.len() / 2)).then_some(nearest)
}

/// How many bytes must be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other = other.as_bytes();
    let mut row: [usize; Name::LONGEST + 1] = core::array::from_fn(|place| place);
    // A row for each byte of the other name, which is the interface's own; `one` is no longer than a row.
    for (line, letter) in other.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line.saturating_add(1);
        let (first, rest) = match row.split_first_mut() {
            Some(row) => row,
            None => return other.len(),
        };
        *first = left;
        for (above, ours) in rest.iter_mut().zip(one.as_bytes()) {
            let replaced = diagonal.saturating_add(usize::from(ours != letter));
            left = replaced
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = core::mem::replace(above, left);
        }
    }
    row.get(one.len()).copied().unwrap_or(other.len())
}

#[cfg(test)]
mod tests {
    use super::{Name, distance};

    #[test]
    fn letters_are_counted() {
        for (one, other, letters) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("start_vn", "start_vm", 1),
            ("strat_vm", "start_vm", 2),
            ("create", "create_vm", 3),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), letters, "{one} {other}");
            assert_eq!(distance(other, one), letters, "{other} {one}");
        }
    }

    #[test]
    fn a_long_name_is_kept_up_to_a_character() {
        let all = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
        assert_eq!(Name::new(all).as_str(), &all[..32]);
        assert!(Name::new(all).cut);
        assert!(!Name::new(&all[..32]).cut);
        // The last one does not fit as a whole.
        let cut = Name::new("ääääääääääääääää…x");
        assert_eq!(cut.as_str(), "ääääääääääääääää");
        let cut = Name::new("xääääääääääääääää");
        assert_eq!(cut.as_str(), "xäääääääääääääää");
    }
}
