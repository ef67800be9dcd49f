//! Entries as JSON objects, one a line. A call's has the key `call`; the others have `lost`, `pages`, `damaged` or
//! `unknown` instead.

use hypercall_trace::entry::{Call, Entry, Outcome};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::context::Context;
use super::json_answer::{Answer, Reason, Refusal};
use super::json_memory::{Arguments, Written};
use crate::export::raw;

/// An entry as one object.
#[derive(Clone, Copy, Debug)]
pub struct JsonEntry<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// About its trace.
    pub context: &'a Context,
    /// Whether a call also carries everything as it was recorded, under `raw`.
    pub raw: bool,
}

impl Serialize for JsonEntry<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let lane = |id: u32| self.context.lane(id).into_owned();
        match self.entry {
            Entry::Call(call) => self.call(call, &mut map)?,
            Entry::Lost(lost) => {
                map.serialize_entry("lost", &raw::Lost::of(lost, lane(lost.lane)))?
            }
            Entry::Pages(pages) => {
                map.serialize_entry("pages", &raw::Pages::of(pages, lane(pages.lane)))?;
            }
            Entry::Damaged(damaged) => map.serialize_entry("damaged", &raw::Hole::of(damaged))?,
            Entry::Unknown(unknown) => {
                map.serialize_entry("unknown", &raw::Unknown::of(unknown, lane(unknown.lane)))?;
            }
        }
        map.end()
    }
}

impl JsonEntry<'_> {
    fn call<M: SerializeMap>(&self, call: &Call, map: &mut M) -> Result<(), M::Error> {
        let clock = self.context.clock();
        map.serialize_entry("call", call.name())?;
        map.serialize_entry(
            "interface",
            &call.schema.as_ref().map(|schema| &*schema.interface),
        )?;
        map.serialize_entry("number", &format!("{:#x}", call.number))?;
        map.serialize_entry("lane", &self.context.lane(call.lane))?;
        map.serialize_entry("index", &call.index)?;
        map.serialize_entry("ticks", &call.enter)?;
        map.serialize_entry("time_ns", &self.context.since_start(call.enter))?;
        map.serialize_entry("unix_ns", &clock.unix_nanoseconds(call.enter))?;
        map.serialize_entry(
            "duration_ns",
            &call
                .duration
                .and_then(|ticks| self.context.nanoseconds(ticks)),
        )?;
        map.serialize_entry("args", &Arguments(call))?;
        self.answer(call, map)?;
        if self.raw {
            map.serialize_entry("raw", &raw::Call::of(call))?;
        }
        Ok(())
    }

    fn answer<M: SerializeMap>(&self, call: &Call, map: &mut M) -> Result<(), M::Error> {
        let rax = match &call.outcome {
            Outcome::Returned(rax) => *rax,
            Outcome::Failed(failure) => {
                map.serialize_entry("ok", &false)?;
                return map.serialize_entry("failure", &Reason(failure));
            }
            Outcome::Unfinished => {
                map.serialize_entry("ok", &false)?;
                return map.serialize_entry("unfinished", &true);
            }
        };
        let schema = call.schema.as_deref();
        let ok = crate::filter::succeeded(call);
        map.serialize_entry("ok", &ok)?;
        map.serialize_entry("rax", &rax)?;
        match schema {
            Some(schema) if ok => {
                map.serialize_entry("result", &Answer { call, schema, rax })?;
            }
            Some(schema) => map.serialize_entry("error", &Refusal { schema, rax })?,
            None => {}
        }
        map.serialize_entry("wrote", &Written(call))
    }
}
