//! Keeps secrets out of a trace: fields with the role [`Secret`](Role::Secret) are replaced by a keyed hash of the same
//! length, so that two equal secrets stay equal and nobody without the key learns more.

use core::hash::Hasher as _;

use hypercall_core::call::{CallInfo, InterfaceInfo, LinkTarget, RegisterInfo};
use hypercall_core::schema::{Kind, Role};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

/// What is written in place of a secret.
#[derive(Clone, Copy, Debug, Default)]
pub enum Redaction {
    /// Zeros.
    #[default]
    Zero,
    /// A hash (SipHash-2-4 with 128 bits) under this key. Whoever has the key can test a guess.
    Hash([u8; 16]),
}

impl Redaction {
    /// Writes what stands for a secret to `put`, in pieces: offset in the secret and bytes.
    pub(crate) fn replace(&self, secret: &[u8], mut put: impl FnMut(usize, &[u8])) {
        for (number, part) in secret.chunks(16).enumerate() {
            let mut bytes = [0; 16];
            if let Self::Hash(key) = self {
                let mut hasher = SipHasher24::new_with_key(key);
                hasher.write(secret);
                hasher.write_u64(u64::try_from(number).unwrap_or(u64::MAX));
                bytes = hasher.finish128().as_bytes();
            }
            put(
                number.saturating_mul(16),
                bytes.get(..part.len()).unwrap_or_default(),
            );
        }
    }

    /// A register's value.
    pub(crate) fn value(&self, value: u64) -> u64 {
        let mut bytes = [0; 8];
        self.replace(&value.to_le_bytes(), |at, part| {
            crate::format::put(&mut bytes, at, part)
        });
        u64::from_le_bytes(bytes)
    }

    /// Writes a value's bytes to `put` in pieces, secrets replaced.
    pub(crate) fn copy(
        &self,
        kind: &Kind,
        bytes: &[u8],
        base: usize,
        put: &mut dyn FnMut(usize, &[u8]),
    ) {
        match kind {
            Kind::Struct(info) => {
                for field in info.fields {
                    let Some(part) = bytes
                        .get(field.offset..)
                        .and_then(|rest| rest.get(..field.size.min(rest.len())))
                    else {
                        continue;
                    };
                    let at = base.saturating_add(field.offset);
                    if field.role == Role::Secret {
                        self.replace(part, |offset, hash| put(at.saturating_add(offset), hash));
                    } else if has_secret(&field.kind) {
                        self.copy(&field.kind, part, at, put);
                    } else {
                        put(at, part);
                    }
                }
                if let Some(rest) = bytes.get(info.size..).filter(|rest| !rest.is_empty()) {
                    put(base.saturating_add(info.size), rest);
                }
            }
            Kind::Array { element, size, .. } => {
                self.copy_array(element, *size, bytes, base, put);
            }
            _ => put(base, bytes),
        }
    }

    /// Writes the elements of an array to `put`, secrets replaced.
    pub(crate) fn copy_array(
        &self,
        element: &Kind,
        size: usize,
        bytes: &[u8],
        base: usize,
        put: &mut dyn FnMut(usize, &[u8]),
    ) {
        let mut at = base;
        for part in bytes.chunks(size.max(1)) {
            self.copy(element, part, at, put);
            at = at.saturating_add(part.len());
        }
    }
}

/// Whether there is a secret in values of this kind.
fn has_secret(kind: &Kind) -> bool {
    match kind {
        Kind::Struct(info) => info
            .fields
            .iter()
            .any(|field| field.role == Role::Secret || has_secret(&field.kind)),
        Kind::Array { element, .. } => has_secret(element),
        _ => false,
    }
}

/// Whether there is a secret in a call's arguments.
fn call_has_secret(info: &CallInfo) -> bool {
    info.registers.iter().any(|register| match register {
        RegisterInfo::Unused | RegisterInfo::Bytes { .. } => false,
        RegisterInfo::Value { kind, role, .. } => *role == Role::Secret || has_secret(kind),
        RegisterInfo::Block { kind, link, .. } => {
            has_secret(kind)
                || link.as_ref().is_some_and(|link| match &link.target {
                    LinkTarget::Array { kind, .. } => has_secret(kind),
                    LinkTarget::Shared => false,
                })
        }
    })
}

/// The calls of the recorded interfaces: their ids, and which of them carry secrets.
#[derive(Debug)]
pub(crate) struct Calls<'m> {
    interfaces: &'m [&'static InterfaceInfo],
    /// What was found out, by a call's place in its interface.
    known: [Known; KNOWN],
}

/// Calls that are remembered: one more than ACRN has, and a power of two.
const KNOWN: usize = 64;

/// What was found out about a call. Its address stands for it: a description is a constant, of which a program may have several
/// copies, and comparing what they say takes longer than the record.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// The call, where it carries no secrets.
    plain: Option<&'static CallInfo>,
    /// The call, where it does.
    secret: Option<&'static CallInfo>,
    id: u16,
}

impl<'m> Calls<'m> {
    pub(crate) const fn new(interfaces: &'m [&'static InterfaceInfo]) -> Self {
        let nothing = Known {
            plain: None,
            secret: None,
            id: 0,
        };
        Self {
            interfaces,
            known: [nothing; KNOWN],
        }
    }

    /// The id of a call that is known to carry no secrets.
    #[inline(always)]
    pub(crate) fn plain(&self, info: &'static CallInfo) -> Option<u16> {
        let known = self.known.get(info.index % KNOWN)?;
        let is = known.plain.is_some_and(|plain| core::ptr::eq(plain, info));
        is.then_some(known.id)
    }

    /// A call's id, and whether it carries secrets.
    pub(crate) fn find(&mut self, info: &'static CallInfo) -> (u16, bool) {
        if let Some(id) = self.plain(info) {
            return (id, false);
        }
        if let Some(known) = self.known.get(info.index % KNOWN)
            && known
                .secret
                .is_some_and(|secret| core::ptr::eq(secret, info))
        {
            return (known.id, true);
        }
        let (id, secret) = (self.id(info), call_has_secret(info));
        if let Some(known) = self.known.get_mut(info.index % KNOWN) {
            *known = Known {
                plain: (!secret).then_some(info),
                secret: secret.then_some(info),
                id,
            };
        }
        (id, secret)
    }

    /// Its place in the schema.
    fn id(&self, info: &CallInfo) -> u16 {
        let mut base = 0_usize;
        for interface in self.interfaces {
            if let Some(call) = interface.calls.get(info.index)
                && **call == *info
            {
                let id = base.saturating_add(info.index);
                return u16::try_from(id).unwrap_or(crate::format::UNKNOWN_CALL);
            }
            base = base.saturating_add(interface.calls.len());
        }
        crate::format::UNKNOWN_CALL
    }
}
