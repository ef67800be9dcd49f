//! Recorded calls as lines of a test.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use hypercall_core::call::Direction;
use hypercall_core::schema::Role;

use super::literal::{array, id, identifier, number, payload, scalar};
use crate::entry::{Argument, Block, Call, Link, PageChange, Place, Target, When};
use crate::replay::bind::is_fixed;
use crate::replay::leaf::{block_leaves, place_of, unsigned};
use crate::replay::text;
use crate::schema::{Kind, LinkTarget, Register};

/// Pages of one static at most, as many as a buffer of ACRN's may have.
const MAX_PAGES: u32 = 1024;

/// The lines of a test, call by call.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Each call's line.
    lines: Vec<String>,
    /// The variable of each lane's client, by the lane's name.
    pub(super) lanes: BTreeMap<String, String>,
    /// The types of ids that a hypervisor gives out.
    pub(super) handles: BTreeSet<String>,
    /// How many calls are made.
    pub(super) made: usize,
    /// Names that were given out in the test.
    pub(super) given: BTreeSet<String>,
    /// Names that were used without being given out: what they are.
    assumed: BTreeMap<String, String>,
    /// Statics: names and numbers of pages. One page of the trace may be handed over alone, and with those behind it: it is the
    /// same one.
    pages: BTreeMap<String, u32>,
    /// The last note of pages: its lane, the call behind it, its time, the page.
    noted: Option<(String, u64, u64, u32)>,
}

impl Calls {
    /// A change of shared pages: one that the program asked for is asked for again.
    pub(super) fn pages(&mut self, lane: &str, change: &PageChange) {
        if change.when != When::Note {
            return;
        }
        let now = (lane.to_owned(), change.index, change.ticks, change.page);
        // As the replayer tells looks apart.
        let same = self
            .noted
            .as_ref()
            .is_some_and(|(lane, index, ticks, page)| {
                change.look == 0
                    && (lane, *index, *ticks) == (&now.0, now.1, now.2)
                    && *page <= change.page
            });
        if !same {
            let lane = self.lane(lane);
            self.lines.push(match change.look {
                0 | 1 => format!("    {lane}_lane.note_pages()?;\n"),
                looks => format!(
                    "    for _ in 0..{looks} {{\n        {lane}_lane.note_pages()?;\n    }}\n"
                ),
            });
        }
        self.noted = Some(now);
    }

    /// Finds the pages that a call hands over, before any line is written.
    pub(super) fn pages_of(&mut self, lane: &str, call: &Call) {
        for argument in &call.args {
            if let Argument::Block(Block {
                link:
                    Some(Link {
                        target:
                            Target::Pages {
                                count: count @ 1..,
                                page,
                            },
                        ..
                    }),
                ..
            }) = argument
            {
                let name = self.page_name(lane, call, *page);
                let most = self.pages.entry(name).or_default();
                *most = (*count).min(MAX_PAGES).max(*most);
            }
        }
    }

    /// The static of pages that a call hands over.
    fn page_name(&self, lane: &str, call: &Call, page: Option<u32>) -> String {
        let number = page.map_or_else(
            || format!("{}_{}", call.name(), call.index),
            |page| page.to_string(),
        );
        format!("PAGE_{}_{number}", self.lane(lane)).to_ascii_uppercase()
    }

    pub(super) fn call(&mut self, lane: &str, call: &Call) {
        self.noted = None;
        self.made = self.made.saturating_add(1);
        let mut line = format!(
            "\n    // {lane}#{}: {}\n",
            call.index,
            shortened(&text::call(call))
        );
        let arguments = self.arguments(lane, call, &mut line);
        let method = format!(
            "{}.{}({})",
            self.lane(lane),
            call.name(),
            arguments.join(", ")
        );
        self.answer(call, &method, &mut line);
        self.lines.push(line);
    }

    /// The variable of a lane's client.
    pub(super) fn lane(&self, name: &str) -> String {
        let variable = self.lanes.get(name).cloned();
        variable.unwrap_or_else(|| identifier(name))
    }

    /// The statics that the test hands over.
    pub(super) fn statics(&self) -> String {
        let mut text = String::new();
        for (name, count) in &self.pages {
            match count {
                1 => {
                    let _ = writeln!(text, "static {name}: SharedPage = SharedPage::new();");
                }
                count => {
                    let _ = writeln!(
                        text,
                        "static {name}: [SharedPage; {count}] = [const {{ SharedPage::new() }}; {count}];"
                    );
                }
            }
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// The lines, with the names that were given out before the slice in front.
    pub(super) fn body(&self) -> String {
        let mut text = String::new();
        if !self.assumed.is_empty() {
            text.push_str("\n    // Given out before the slice begins.\n");
        }
        for (name, what) in &self.assumed {
            let _ = writeln!(text, "    let {name} = {what};");
        }
        // The last line that has a word.
        let mut last = HashMap::new();
        for (place, line) in self.lines.iter().enumerate() {
            last.extend(words(line).map(|word| (word, place)));
        }
        for (place, line) in self.lines.iter().enumerate() {
            let used_later = |name: &str| last.get(name).is_some_and(|last| *last > place);
            text.push_str(&only_used(line, used_later));
        }
        text
    }

    /// The variable of a name that the hypervisor gave out.
    fn handle(&mut self, kind: &Kind, raw: u64) -> Option<String> {
        let Kind::Id(name) = kind else { return None };
        if is_fixed(raw) {
            return None;
        }
        let variable = variable(name, raw);
        if !self.given.contains(&variable) {
            self.assumed
                .entry(variable.clone())
                .or_insert_with(|| format!("{name}({raw})"));
        }
        Some(variable)
    }

    fn value(&mut self, kind: &Kind, role: Role, raw: u64) -> String {
        if role == Role::Secret {
            // The trace has no more than a hash of it, which need not fit its type.
            return "arg(0 /* a secret */)".to_owned();
        }
        if role == Role::Handle
            && let Some(variable) = self.handle(kind, raw)
        {
            return variable;
        }
        match kind {
            Kind::Id(_) => scalar(kind, role, &raw.to_le_bytes(), &|_, _| None),
            Kind::Unsigned => number(raw),
            _ => {
                let shown = text::value(kind, Role::Plain, &raw.to_le_bytes());
                format!("arg({} /* {} */)", id(raw), shown.replace("*/", ""))
            }
        }
    }

    /// Notes all names that stand in a block, so that they are variables.
    fn names_in(&mut self, call: &Call, place: Place, block: &Block) {
        let bytes = block.before_bytes();
        for leaf in block_leaves(call.schema.as_deref(), place, block.length) {
            if leaf.role == Role::Handle
                && let Some(bytes) = leaf.of(&bytes)
            {
                self.handle(leaf.kind, unsigned(bytes));
            }
        }
    }

    /// The arguments of the method, in the order of its registers; what a header carries comes in the order of its fields.
    fn arguments(&mut self, lane: &str, call: &Call, line: &mut String) -> Vec<String> {
        let mut out = Vec::new();
        let Some(schema) = call.schema.clone() else {
            return out;
        };
        for (number, (register, argument)) in schema.registers.iter().zip(&call.args).enumerate() {
            match (register, argument) {
                (Register::Value { kind, role, .. }, Argument::Value(raw)) => {
                    // The client puts the selector's bits in by itself.
                    let mask = schema
                        .selector
                        .filter(|_| number == 0)
                        .map_or(0, |selector| selector.mask);
                    out.push(self.value(kind, *role, raw & !mask));
                }
                (
                    Register::Block {
                        link: Some(link), ..
                    },
                    Argument::Block(block),
                ) => {
                    self.header((lane, call, number), link, block, (&mut *line, &mut out));
                }
                // A result without an argument.
                (Register::Block { name, .. }, _) if name.is_empty() => {}
                (
                    Register::Block {
                        name,
                        direction,
                        kind,
                        ..
                    },
                    Argument::Block(block),
                ) => {
                    self.names_in(call, place_of(number, false), block);
                    let given = &self.given;
                    let assumed = &self.assumed;
                    let handle = |id: &str, raw: u64| {
                        let variable = variable(id, raw);
                        (given.contains(&variable) || assumed.contains_key(&variable))
                            .then_some(variable)
                    };
                    let value = payload(kind, &block.before_bytes(), &handle);
                    let (mutable, reference) = match direction {
                        Direction::Read => ("", "&"),
                        _ => ("mut ", "&mut "),
                    };
                    let _ = writeln!(line, "    let {mutable}{name} = {value};");
                    out.push(format!("{reference}{name}"));
                }
                (Register::Bytes { name, direction }, Argument::Block(block)) => {
                    let mutable = if *direction == Direction::Read {
                        ""
                    } else {
                        "mut "
                    };
                    let _ = writeln!(
                        line,
                        "    let {mutable}{name} = {};",
                        array(&block.before_bytes())
                    );
                    out.push(format!("&{mutable}{name}"));
                }
                _ => {}
            }
        }
        out
    }

    fn header(
        &mut self,
        (lane, call, number): (&str, &Call, usize),
        link: &crate::schema::Link,
        block: &Block,
        (line, out): (&mut String, &mut Vec<String>),
    ) {
        let count = match &link.target {
            LinkTarget::Array { count_offset, .. } => Some(*count_offset),
            LinkTarget::Shared => None,
        };
        let place = place_of(number, false);
        let bytes = block.before_bytes();
        for leaf in block_leaves(call.schema.as_deref(), place, block.length) {
            let at = match leaf.at {
                crate::replay::leaf::At::Block(_, offset) => offset,
                crate::replay::leaf::At::Register(..) => continue,
            };
            if leaf.role == Role::Reserved || Some(at) == count {
                continue;
            }
            if let Some(bytes) = leaf.of(&bytes) {
                out.push(self.value(leaf.kind, leaf.role, unsigned(bytes)));
            }
        }
        let Some(Link { target, .. }) = &block.link else {
            return;
        };
        out.push(match (target, &link.target) {
            (
                Target::Block(nested),
                LinkTarget::Array {
                    kind,
                    size,
                    direction,
                    ..
                },
            ) => {
                self.names_in(call, place_of(number, true), nested);
                let bytes = nested.before_bytes();
                let parts = bytes
                    .chunks((*size).max(1))
                    .map(|part| payload(kind, part, &|_, _| None));
                let array = format!("[{}]", parts.collect::<Vec<_>>().join(", "));
                if *direction == Direction::Read || bytes.is_empty() {
                    let mutable = if *direction == Direction::Read {
                        ""
                    } else {
                        "mut "
                    };
                    format!("&{mutable}{array}")
                } else {
                    let name = &link.name;
                    let _ = writeln!(line, "    let mut {name} = {array};");
                    format!("&mut {name}")
                }
            }
            (Target::Pages { count, page }, _) => {
                let name = self.page_name(lane, call, *page);
                let all = self.pages.get(&name).copied().unwrap_or(0);
                match (*count).min(MAX_PAGES) {
                    0 => "SharedRef::Pages(&[])".to_owned(),
                    1 if all == 1 => format!("(&{name}).into()"),
                    1 => format!("(&{name}[0]).into()"),
                    count if count == all => format!("SharedRef::Pages(&{name})"),
                    count => format!("SharedRef::Pages(&{name}[..{count}])"),
                }
            }
            (Target::Address(gpa), _) => format!("Gpa({gpa:#x}).into()"),
            _ => "&[]".to_owned(),
        });
    }
}

/// A text of at most a line; what is left out is in the middle, for the answer stands at the end.
fn shortened(text: &str) -> String {
    const START: usize = 80;
    const END: usize = 30;
    let count = text.chars().count();
    if count <= START + END {
        return text.replace('\n', " ");
    }
    let start: String = text.chars().take(START).collect();
    let end: String = text.chars().skip(count.saturating_sub(END)).collect();
    format!("{start} … {end}").replace('\n', " ")
}

/// The variable of a name: `vm_1` for `VmId(1)`.
pub(super) fn variable(name: &str, raw: u64) -> String {
    let mut text = String::new();
    for (place, letter) in name.strip_suffix("Id").unwrap_or(name).char_indices() {
        if letter.is_ascii_uppercase() && place != 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    format!("{}_{raw}", identifier(&text))
}

/// A line without `let` where the name that it gives is not used any more.
fn only_used(line: &str, used_later: impl Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for part in line.split_inclusive('\n') {
        let given = part
            .trim_start()
            .strip_prefix("let ")
            .and_then(|rest| rest.split_once(" = "));
        match given {
            Some((name, rest)) if is_variable(name) && !used_later(name) => {
                let _ = write!(text, "    {rest}");
            }
            _ => text.push_str(part),
        }
    }
    text
}

/// Whether it is the variable of a name that was given out.
pub(super) fn is_variable(name: &str) -> bool {
    name.rsplit_once('_')
        .is_some_and(|(_, raw)| raw.parse::<u64>().is_ok())
}

/// The words of a line's code.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let code = line
        .lines()
        .filter(|part| !part.trim_start().starts_with("//"));
    code.flat_map(|part| {
        part.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
    })
}
