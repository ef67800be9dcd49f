//! Names of a test's variables for the lanes' clients: nothing else in the test may have them.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::is_variable;
use super::literal::identifier;
use crate::schema::{Register, Schema};

/// The variable of each lane's client, by the lane's name: the lane's own name where that is free.
pub(super) fn lanes<'l>(
    lanes: impl Iterator<Item = &'l str>,
    schema: &Schema,
) -> BTreeMap<String, String> {
    // What an argument is called, a line of the test calls its variable.
    let mut taken: BTreeSet<String> = schema
        .calls()
        .flat_map(|call| &call.registers)
        .flat_map(|register| match register {
            Register::Block { name, link, .. } => {
                vec![
                    Some(name.clone()),
                    link.as_ref().map(|link| link.name.clone()),
                ]
            }
            Register::Bytes { name, .. } => vec![Some(name.clone())],
            Register::Unused | Register::Value { .. } => Vec::new(),
        })
        .flatten()
        .chain(["error", "expected", "replayer"].map(str::to_owned))
        .collect();
    let mut names = BTreeMap::new();
    for lane in lanes {
        let plain = identifier(lane);
        let others = (2_u32..).map(|number| format!("lane_{plain}_n{number}"));
        let mut all = [plain.clone(), format!("lane_{plain}")]
            .into_iter()
            .chain(others);
        let free = |name: &String| {
            !is_variable(name) && !taken.contains(name) && !taken.contains(&format!("{name}_lane"))
        };
        // Each number is tried once: one of them is free.
        let Some(name) = all.find(|name| free(name)) else {
            continue;
        };
        taken.insert(format!("{name}_lane"));
        taken.insert(name.clone());
        names.insert(lane.to_owned(), name);
    }
    names
}
