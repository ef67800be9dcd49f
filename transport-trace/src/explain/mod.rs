//! Explains a number, a name, or a line of ACRN's console log: which call it is, what the call needs, what its answer
//! means.
//!
//! ```
//! use hypercall_core::acrn::HypervisorCalls;
//! use hypercall_trace::{explain::explain, schema::Schema};
//!
//! let acrn = Schema::from_interfaces(&[HypervisorCalls::INTERFACE]);
//! let line = "[12345678us][cpu=0][vm0:vcpu0][sev=2][seq=3]:ret=-1 hypercall=0x80000023 failed in vmcall_vmexit_handler";
//! let told = explain(line, &acrn);
//! assert_eq!(told.calls[0].name, "inject_msi");
//! assert!(told.answer.unwrap().check.unwrap().contains("0xfee"));
//! ```

mod describe;
mod question;

use std::fmt;

use serde::Serialize;

use crate::schema::{Call, Schema};
use describe::describe;
pub use question::nearest;
use question::{Question, same_name};

/// What is said of [`RAX_UNWRITTEN`](hypercall_core::RAX_UNWRITTEN) where RAX is shown. `None` for any other RAX.
///
/// The VMCALL transport puts it into RAX before a call; a hypervisor that answers overwrites it.
#[must_use]
pub const fn unwritten(rax: i64) -> Option<&'static str> {
    match rax {
        hypercall_core::RAX_UNWRITTEN => Some("RAX not written"),
        _ => None,
    }
}

/// What is known about a number, a name or a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The calls that are meant: several where methods share a number, or where a name fits several.
    pub calls: Vec<CallHelp>,
    /// What the answer means, where one was asked about.
    pub answer: Option<AnswerHelp>,
    /// What else is to be said.
    pub notes: Vec<String>,
}

/// A call: what it is, what it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallHelp {
    /// The interface's name.
    pub interface: String,
    /// The method's name.
    pub name: String,
    /// The hypercall number.
    pub number: u64,
    /// How the first register selects it among the methods of its number, as a phrase.
    pub selected: Option<String>,
    /// What the registers carry.
    pub registers: Vec<RegisterHelp>,
    /// What comes back after success, as a phrase.
    pub returns: String,
    /// What to check after each refusal that the interface knows.
    pub refusals: Vec<AnswerHelp>,
}

/// What a register carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegisterHelp {
    /// `RDI` or `RSI`.
    pub register: String,
    /// The argument, as a phrase.
    pub text: String,
    /// The fields of its memory.
    pub fields: Vec<FieldHelp>,
}

/// A field of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldHelp {
    /// Its name.
    pub name: String,
    /// Bytes from the start of the block.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// What it holds, as a phrase.
    pub text: String,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerHelp {
    /// RAX.
    pub rax: i64,
    /// The code's name, where the interface knows it.
    pub name: Option<String>,
    /// What it means, as a phrase.
    pub meaning: String,
    /// What to check, where the call says it.
    pub check: Option<String>,
}

/// Explains a text: a number (`0x80000012`, `0x12`, `2147483666`), a name (`start_vm`, `HC_START_VM`,
/// `hcall_start_vm`), the name of a code or an answer (`EINVAL`, `-22`), or a line of ACRN's console log.
///
/// Never fails: what is not known is said in the notes.
#[must_use]
pub fn explain(text: &str, schema: &Schema) -> Explanation {
    let question = Question::read(text, schema);
    let mut told = Explanation::default();
    let mut found: Vec<&Call> = Vec::new();
    if let Some(number) = question.number {
        found.extend(
            schema
                .calls()
                .filter(|call| call.number == number)
                .map(|call| &**call),
        );
        if found.is_empty() {
            let low = number & 0xff;
            let like = schema.calls().filter(|call| call.number & 0xff == low);
            found.extend(like.map(|call| &**call));
            let exact = found.first().map(|call| call.number);
            told.notes.push(match (exact, unhandled(number)) {
                (_, Some(note)) => note.to_owned(),
                (None, None) => format!("no call of the interface has the number {number:#x}: the hypervisor answers -25"),
                // ACRN's dispatcher looks at the low byte; which VM is meant it decides by the whole number.
                (Some(exact), None) if number > 0xff => format!(
                    "{number:#x} is not {exact:#x}: ACRN chooses the call by the low byte, and the VM by the whole number; only the exact number is safe"
                ),
                (Some(exact), None) => format!("{number:#x} is taken as the index of {exact:#x}"),
            });
        }
    }
    if let Some(name) = &question.name {
        found.extend(
            schema
                .calls()
                .filter(|call| same_name(call, name))
                .map(|call| &**call),
        );
        if found.is_empty() {
            let near = question::nearest(name, schema);
            told.notes.push(match near {
                Some(near) => {
                    format!("the interface has no call of the name {name}; {near} comes nearest")
                }
                None => format!("the interface has no call of the name {name}"),
            });
        }
    }
    if let Some(rax) = question.rax {
        told.answer = Some(describe::answer(&found, schema, rax));
    }
    if question.is_log {
        told.notes.push(
            "ACRN logs every refusal of a hypercall so; the caller got the same number in RAX"
                .to_owned(),
        );
    }
    if question.is_empty() {
        told.notes
            .push("this holds no number, name or line that is known".to_owned());
    }
    told.calls = found.into_iter().map(describe).collect();
    told
}

/// Numbers that ACRN's headers define and no typed call makes.
const fn unhandled(number: u64) -> Option<&'static str> {
    use hypercall_core::acrn::{SWITCH_EE, WORLD_SWITCH, unhandled as none};
    const NO_HANDLER: &str = "ACRN's header defines this number, and its hypervisor has no handler for it: the answer is -25";
    match number {
        none::ASSIGN_PTDEV | none::DEASSIGN_PTDEV | none::VM_PCI_MSIX_REMAP => Some(NO_HANDLER),
        WORLD_SWITCH => Some(
            "HC_WORLD_SWITCH: changes between the normal and the secure world of the calling VM; a message of registers, made by the trait WorldSwitch",
        ),
        SWITCH_EE => Some(
            "HC_SWITCH_EE: changes between the trusted and the rich VM; a message of registers, made by the trait WorldSwitch",
        ),
        _ => None,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for call in &self.calls {
            write!(f, "{call}")?;
        }
        if let Some(answer) = &self.answer {
            writeln!(f, "{answer}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for CallHelp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            interface,
            name,
            number,
            selected,
            registers,
            returns,
            refusals,
        } = self;
        writeln!(f, "{name} ({number:#x}), a call of {interface}")?;
        if let Some(selected) = selected {
            writeln!(f, "  selected by {selected}")?;
        }
        for RegisterHelp {
            register,
            text,
            fields,
        } in registers
        {
            writeln!(f, "  {register}: {text}")?;
            for FieldHelp {
                name,
                offset,
                size,
                text,
            } in fields
            {
                writeln!(f, "    {offset:>4}  {size:>3} bytes  {name}: {text}")?;
            }
        }
        writeln!(f, "  returns {returns}")?;
        for refusal in refusals {
            writeln!(f, "  {refusal}")?;
        }
        Ok(())
    }
}

impl fmt::Display for AnswerHelp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rax)?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, ": {}", self.meaning)?;
        match &self.check {
            Some(check) => write!(f, ". Check: {check}"),
            None => Ok(()),
        }
    }
}
