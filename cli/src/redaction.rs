//! Replaces values of recorded calls by keyed hashes: equal values stay equal, and nobody without the key learns more.
//!
//! Secrets are hashed as the recorder does it (SipHash-2-4 with 128 bits, a counter for each 16 bytes), so that a trace that
//! was recorded with a key and one that was redacted with it agree.

use std::hash::Hasher as _;

use hypercall_core::schema::Role;
use hypercall_trace::entry::{After, Argument, Block, Call, PageChange, Target};
use hypercall_trace::schema::{Kind, LinkTarget, Register, Schema};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What is replaced.
#[derive(Clone, Debug, Default)]
pub(crate) struct What {
    /// Fields and arguments by name, or by `call.name`.
    pub(crate) fields: Vec<String>,
    /// Names of VMs and other text.
    pub(crate) text: bool,
    /// Addresses.
    pub(crate) addresses: bool,
    /// Memory without a description, and the contents of pages.
    pub(crate) bytes: bool,
    /// What the interface marks as secret. The recorder has hashed it already; an imported trace may have it in clear.
    pub(crate) secrets: bool,
}

impl What {
    /// Whether a name of [`fields`](Self::fields) is one of a schema's.
    pub(crate) fn names_something(&self, field: &str, schema: &Schema) -> bool {
        fn inside(kind: &Kind, wanted: &str) -> bool {
            match kind {
                Kind::Struct(info) => info
                    .fields
                    .iter()
                    .any(|field| field.name == wanted || inside(&field.kind, wanted)),
                Kind::Array { element, .. } => inside(element, wanted),
                _ => false,
            }
        }
        let (call, name) = field
            .rsplit_once('.')
            .map_or((None, field), |(call, name)| (Some(call), name));
        schema.calls().filter(|known| call.is_none_or(|call| known.name == call)).any(|call| {
            call.registers.iter().any(|register| match register {
                Register::Unused => false,
                Register::Value { name: own, .. } | Register::Bytes { name: own, .. } => own == name,
                Register::Block { name: own, kind, link, .. } => {
                    own == name
                        || inside(kind, name)
                        || link.as_ref().is_some_and(|link| {
                            link.name == name
                                || matches!(&link.target, LinkTarget::Array { kind, .. } if inside(kind, name))
                        })
                }
            })
        })
    }

    fn takes(&self, call: &str, name: &str, kind: &Kind, role: Role) -> bool {
        self.names(call, name)
            || self.secrets && role == Role::Secret
            || self.addresses && role == Role::Address
            || self.text && matches!(kind, Kind::Text)
    }

    /// Whether the user named this field.
    fn names(&self, call: &str, name: &str) -> bool {
        let named = |field: &String| {
            field == name
                || field
                    .rsplit_once('.')
                    .is_some_and(|(own, field)| own == call && field == name)
        };
        self.fields.iter().any(named)
    }
}

/// Whether the schema says of every byte of a call what it is: the call is in it, and each block has the described length.
pub(crate) fn is_complete(call: &Call) -> bool {
    let schema = call.schema.as_deref();
    let mut arguments = call.args.iter().enumerate();
    arguments.all(|(number, argument)| is_described(schema, number, argument))
}

fn is_described(
    schema: Option<&hypercall_trace::schema::Call>,
    number: usize,
    argument: &Argument,
) -> bool {
    let register = schema.and_then(|schema| schema.registers.get(number));
    match (argument, register) {
        (Argument::Unused, _) | (Argument::Value(_), Some(Register::Value { .. })) => true,
        (Argument::Block(block), Some(Register::Block { size, link, .. })) => {
            let target = block.link.as_ref().map(|link| &link.target);
            block.length == *size
                && match (target, link.as_ref().map(|link| &link.target)) {
                    (Some(Target::Block(nested)), Some(LinkTarget::Array { size, .. })) => {
                        nested.length.checked_rem(*size) == Some(0)
                    }
                    (Some(Target::Block(_)), _) | (Some(_), None) => false,
                    (Some(Target::Pages { .. } | Target::Address(_)), Some(_)) | (None, _) => true,
                }
        }
        // Bytes on purpose: `--bytes` is about them.
        (Argument::Block(block), Some(Register::Bytes { .. })) => block.link.is_none(),
        _ => false,
    }
}

/// Replaces values.
#[derive(Debug)]
pub(crate) struct Redaction {
    what: What,
    key: [u8; 16],
    replaced: u64,
}

impl Redaction {
    pub(crate) const fn new(what: What, key: [u8; 16]) -> Self {
        Self {
            what,
            key,
            replaced: 0,
        }
    }

    /// The number of what is made of the trace with this one: always the same under a key, and another one. What the trace's number leads
    /// to, as the rings of a killed recording, has all values as they were, and must not be taken for the rest of what was redacted.
    pub(crate) fn trace_id(&self, id: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(b"the number of a trace");
        hasher.write_u64(id);
        let hash = hasher.finish128();
        let is_new = |new: &u64| *new != 0 && *new != id;
        // Where both halves are none, or the old one, which chance alone does not bring about.
        let other = if id == 1 { 2 } else { 1 };
        [hash.h1, hash.h2].into_iter().find(is_new).unwrap_or(other)
    }

    /// How many values were replaced.
    pub(crate) const fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Replaces what is to be replaced in a call. All bytes of what the schema does not describe.
    pub(crate) fn call(&mut self, call: &mut Call) {
        let schema = call.schema.clone();
        for (number, argument) in call.args.iter_mut().enumerate() {
            if !is_described(schema.as_deref(), number, argument) {
                self.all_of(argument);
                continue;
            }
            let register = schema
                .as_ref()
                .and_then(|schema| schema.registers.get(number));
            let name = schema.as_ref().map_or("?", |schema| schema.name.as_str());
            match (argument, register) {
                (
                    Argument::Value(value),
                    Some(Register::Value {
                        name: own,
                        kind,
                        role,
                    }),
                ) => {
                    let mut bytes = value.to_le_bytes();
                    self.value(name, own, kind, *role, &mut bytes);
                    *value = u64::from_le_bytes(bytes);
                }
                (
                    Argument::Block(block),
                    Some(Register::Block {
                        name: own,
                        kind,
                        link,
                        ..
                    }),
                ) => {
                    self.block(block, &mut |this, bytes| {
                        this.value(name, own, kind, Role::Plain, bytes)
                    });
                    let nested = match block.link.as_mut().map(|link| &mut link.target) {
                        Some(Target::Block(nested)) => nested,
                        Some(Target::Address(address)) if self.what.addresses => {
                            let mut bytes = address.to_le_bytes();
                            self.hash(&Kind::Unsigned, Role::Address, &mut bytes);
                            *address = u64::from_le_bytes(bytes);
                            continue;
                        }
                        _ => continue,
                    };
                    match link.as_ref().map(|link| (&link.name, &link.target)) {
                        Some((own, LinkTarget::Array { kind, size, .. })) => {
                            let size = (*size).max(1);
                            self.block(nested, &mut |this, bytes| {
                                for element in bytes.chunks_mut(size) {
                                    this.value(name, own, kind, Role::Plain, element);
                                }
                            });
                        }
                        _ => self.block(nested, &mut Self::undescribed),
                    }
                }
                (Argument::Block(block), register) => {
                    let own = match register {
                        Some(Register::Bytes { name, .. }) => name.as_str(),
                        _ => "",
                    };
                    let named = !own.is_empty() && self.what.names(name, own);
                    self.block(block, &mut |this, bytes| {
                        if named {
                            this.hash_any(&Kind::Unsigned, Role::Plain, bytes);
                        } else {
                            this.undescribed(bytes);
                        }
                    });
                    if let Some(Target::Block(nested)) =
                        block.link.as_mut().map(|link| &mut link.target)
                    {
                        self.block(nested, &mut Self::undescribed);
                    }
                }
                _ => {}
            }
        }
    }

    /// Replaces all of an argument: nobody says where in it a secret stands.
    fn all_of(&mut self, argument: &mut Argument) {
        match argument {
            Argument::Unused => {}
            Argument::Value(value) => {
                let mut bytes = value.to_le_bytes();
                self.hash(&Kind::Unsigned, Role::Secret, &mut bytes);
                *value = u64::from_le_bytes(bytes);
            }
            Argument::Block(block) => {
                self.block(block, &mut |this, bytes| {
                    this.hash(&Kind::Unsigned, Role::Secret, bytes)
                });
                match block.link.as_mut().map(|link| &mut link.target) {
                    Some(Target::Block(nested)) => self.block(nested, &mut |this, bytes| {
                        this.hash(&Kind::Unsigned, Role::Secret, bytes)
                    }),
                    Some(Target::Address(address)) => {
                        let mut bytes = address.to_le_bytes();
                        self.hash(&Kind::Unsigned, Role::Secret, &mut bytes);
                        *address = u64::from_le_bytes(bytes);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Replaces the contents of pages.
    pub(crate) fn pages(&mut self, change: &mut PageChange) {
        if self.what.bytes {
            for run in &mut change.runs {
                self.hash(&Kind::Unsigned, Role::Plain, &mut run.before);
                self.hash(&Kind::Unsigned, Role::Plain, &mut run.after);
            }
        }
    }

    fn block(&mut self, block: &mut Block, each: &mut dyn FnMut(&mut Self, &mut [u8])) {
        if !block.before.is_empty() {
            each(self, &mut block.before);
        }
        if let After::Changed(after) = &mut block.after {
            each(self, after);
        }
    }

    fn undescribed(&mut self, bytes: &mut [u8]) {
        if self.what.bytes {
            self.hash(&Kind::Unsigned, Role::Plain, bytes);
        }
    }

    /// Replaces a value, or what is to be replaced inside it.
    fn value(&mut self, call: &str, name: &str, kind: &Kind, role: Role, bytes: &mut [u8]) {
        if self.what.names(call, name) {
            return self.hash_any(kind, role, bytes);
        }
        if self.what.takes(call, name, kind, role) {
            return self.hash(kind, role, bytes);
        }
        match kind {
            Kind::Struct(info) => {
                for field in &info.fields {
                    let end = field.offset.saturating_add(field.size);
                    if let Some(part) = bytes.get_mut(field.offset..end) {
                        self.value(call, &field.name, &field.kind, field.role, part);
                    }
                }
            }
            Kind::Array { element, size, .. } if !matches!(**element, Kind::Unsigned) => {
                for part in bytes.chunks_mut((*size).max(1)) {
                    self.value(call, name, element, role, part);
                }
            }
            _ => {}
        }
    }

    /// Replaces bytes by their hash; zeros and ones stay, because they say that there is nothing. In a secret, and in what the user
    /// named, that is as much of a secret.
    fn hash(&mut self, kind: &Kind, role: Role, bytes: &mut [u8]) {
        let nothing = bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == 0xff);
        if !nothing || role == Role::Secret {
            self.hash_any(kind, role, bytes);
        }
    }

    /// The same of all bytes. Text stays text, and an address stays one of a page.
    fn hash_any(&mut self, kind: &Kind, role: Role, bytes: &mut [u8]) {
        self.replaced = self.replaced.saturating_add(1);
        let whole = bytes.to_vec();
        for (number, part) in bytes.chunks_mut(16).enumerate() {
            let mut hasher = SipHasher24::new_with_key(&self.key);
            hasher.write(&whole);
            hasher.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
            for (to, from) in part.iter_mut().zip(hasher.finish128().as_bytes()) {
                *to = from;
            }
        }
        match (kind, role) {
            (Kind::Text, _) => {
                // Letters from a to p, as many as fit: the more, the rarer two texts become the same by chance.
                let end = whole.len().saturating_sub(1).max(1);
                for (place, byte) in bytes.iter_mut().enumerate() {
                    *byte = if place < end {
                        b'a'.saturating_add(*byte & 15)
                    } else {
                        0
                    };
                }
            }
            (_, Role::Address) if bytes.len() == 8 => {
                // Within 46 bits; where it lies in its page stays.
                for (byte, kept) in bytes.iter_mut().zip(whole.get(..1).unwrap_or_default()) {
                    *byte = *kept;
                }
                if let [_, second, .., sixth, seventh, eighth] = bytes {
                    *second = (*second & 0xf0) | whole.get(1).map_or(0, |byte| byte & 15);
                    *sixth &= 0x3f;
                    (*seventh, *eighth) = (0, 0);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(key: u8, kind: &Kind, role: Role, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        Redaction::new(What::default(), [key; 16]).hash(kind, role, &mut out);
        out
    }

    #[test]
    fn equal_values_stay_equal_under_one_key_only() {
        let secret = [7; 40];
        let first = hashed(1, &Kind::Unsigned, Role::Secret, &secret);
        assert_eq!(first, hashed(1, &Kind::Unsigned, Role::Secret, &secret));
        assert_ne!(first, hashed(2, &Kind::Unsigned, Role::Secret, &secret));
        assert_ne!(first, secret);
        assert_eq!(first.len(), 40);
    }

    #[test]
    fn the_number_is_another_one_under_each_key_and_always_the_same() {
        let number = |key: u8, id: u64| Redaction::new(What::default(), [key; 16]).trace_id(id);
        for id in [0, 1, 7, u64::MAX] {
            assert!(number(1, id) != 0 && number(1, id) != id);
            assert_eq!(number(1, id), number(1, id));
            assert_ne!(number(1, id), number(2, id));
            assert_ne!(number(1, id), number(1, id ^ 2));
        }
    }

    #[test]
    fn text_stays_text_and_addresses_stay_addresses() {
        let text = hashed(1, &Kind::Text, Role::Plain, b"linux\0\0\0");
        assert!(text[..7].iter().all(u8::is_ascii_lowercase) && text[7] == 0);
        let address = hashed(
            1,
            &Kind::Unsigned,
            Role::Address,
            &0x4000_0123_u64.to_le_bytes(),
        );
        let address = u64::from_le_bytes(address.try_into().unwrap());
        assert_eq!(address & 0xfff, 0x123);
        assert!(address < 1 << 46 && address != 0x4000_0123);
        assert_eq!(hashed(1, &Kind::Unsigned, Role::Address, &[0; 8]), [0; 8]);
        assert_eq!(
            hashed(1, &Kind::Id("VmId".into()), Role::Handle, &[0xff; 2]),
            [0xff; 2]
        );
    }
}
