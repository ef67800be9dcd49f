//! Finds out what a text asks about.

use crate::schema::{Call, Schema};

/// The parts of a question.
#[derive(Debug, Default)]
pub(super) struct Question {
    /// A hypercall number.
    pub(super) number: Option<u64>,
    /// The name of a call.
    pub(super) name: Option<String>,
    /// An answer.
    pub(super) rax: Option<i64>,
    /// It is a line of ACRN's log.
    pub(super) is_log: bool,
}

impl Question {
    pub(super) fn read(text: &str, schema: &Schema) -> Self {
        let text = text.trim();
        let mut question = Self::default();
        // vmcall_vmexit_handler: `ret=-1 hypercall=0x80000023 failed in …`; what the console puts before it is left out.
        if let Some(number) = value_of(text, "hypercall=") {
            question.number = unsigned(number);
            question.rax = value_of(text, "ret=").and_then(signed);
            question.is_log = question.number.is_some() && question.rax.is_some();
            return question;
        }
        for word in text
            .split([' ', '\t', ',', '(', ')', ':', ';', '='])
            .filter(|word| !word.is_empty())
        {
            question.word(word, schema);
        }
        question
    }

    fn word(&mut self, word: &str, schema: &Schema) {
        let code = schema
            .calls()
            .flat_map(|call| call.codes.iter())
            .find(|code| code.name.eq_ignore_ascii_case(word));
        if let Some(code) = code {
            self.rax.get_or_insert(code.code);
        } else if word.starts_with('-') {
            self.rax = self.rax.or_else(|| signed(word));
        } else if let Some(number) = unsigned(word) {
            // An answer as a debugger shows it: sign-extended. Or none.
            match number.cast_signed() {
                rax @ (-4095..0 | hypercall_core::RAX_UNWRITTEN) => {
                    self.rax.get_or_insert(rax);
                }
                _ => {
                    self.number.get_or_insert(number);
                }
            }
        } else if self.name.is_none()
            && (self.number.is_none() || schema.calls().any(|call| same_name(call, word)))
        {
            self.name = Some(word.to_owned());
        } else if let Some(name) = &self.name
            && !schema.calls().any(|call| same_name(call, name))
            && schema.calls().any(|call| same_name(call, word))
        {
            self.name = Some(word.to_owned());
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.number.is_none() && self.name.is_none() && self.rax.is_none()
    }
}

/// What stands behind a key, up to a blank.
fn value_of<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(key)?;
    rest.split([' ', '\t', ',', ';', '\r', '\n']).next()
}

fn unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn signed(text: &str) -> Option<i64> {
    text.parse()
        .ok()
        .or_else(|| unsigned(text).map(u64::cast_signed))
}

/// Names under which Linux and the device model know calls.
const OTHERS: &[(&str, &str)] = &[
    ("create_vdev", "add_vdev"),
    ("destroy_vdev", "remove_vdev"),
    ("set_ptdev_intr", "set_ptdev_intr_info"),
    ("reset_ptdev_intr", "reset_ptdev_intr_info"),
    ("sos_remove_cpu", "service_vm_offline_cpu"),
    ("set_memseg", "set_memory_regions"),
    ("unset_memseg", "set_memory_regions"),
    ("set_vm_memory_regions", "set_memory_regions"),
    ("gpa_to_hpa", "vm_gpa2hpa"),
    ("notify_ioreq_finish", "notify_request_finish"),
    ("get_cpu_pm_state", "pm_get"),
    ("pm_get_cpu_state", "pm_get"),
    ("handle_tee_vcpu_boot_done", "tee_vcpu_boot_done"),
];

/// A name as the interface would have it: without the prefixes of C.
fn plain(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = ["hcall_", "hc_", "acrn_ioctl_", "acrn_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(&name);
    let other = OTHERS.iter().find(|(theirs, _)| *theirs == name);
    other.map_or(name, |(_, ours)| ours).to_owned()
}

/// Whether a name means a call: as the interface or as C writes it.
pub(super) fn same_name(call: &Call, name: &str) -> bool {
    let (ours, theirs) = (call.name.as_str(), plain(name));
    let bare = theirs.strip_prefix("vm_").unwrap_or(&theirs);
    ours == theirs || ours == bare || (theirs == "pm_get" && ours.starts_with("pm_get"))
}

/// The call whose name comes nearest, where one is near.
#[must_use]
pub fn nearest<'s>(name: &str, schema: &'s Schema) -> Option<&'s str> {
    let name = plain(name);
    let near = schema
        .calls()
        .map(|call| (distance(&name, &call.name), call.name.as_str()));
    near.min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().take(64).enumerate() {
        let mut diagonal = line;
        let mut left = line.saturating_add(1);
        let mut next = vec![left];
        for (above, theirs) in row.iter().skip(1).zip(&other) {
            let replaced = diagonal.saturating_add(usize::from(letter != *theirs));
            left = replaced
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
