//! Who has a page: the VMs' request pages and buffers, by the memory that they are in. A VM may have thousands of buffers, and a
//! trace that is made to hurt a call for each, so that looking through all of them at each call would take hours.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::state::{Machine, Memory};

/// What a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Requests,
    Buffer(u32),
}

/// Which VMs have which memory, and for what.
#[derive(Clone, Debug, Default)]
pub(super) struct Holders {
    by_role: BTreeMap<(u16, Role), Memory>,
    by_memory: HashMap<Memory, BTreeMap<u16, BTreeSet<Role>>>,
}

impl Holders {
    /// Takes over what a machine has of a role by now, behind a call about it.
    pub(super) fn update(&mut self, machine: &Machine, id: u16, role: Role) {
        self.forget((id, role));
        let vm = machine.vms.get(&id);
        let memory = vm.and_then(|vm| match role {
            Role::Requests => vm.request_page.as_ref(),
            Role::Buffer(buffer) => vm.buffers.get(&buffer),
        });
        if let Some(memory) = memory {
            self.by_role.insert((id, role), memory.clone());
            let of_memory = self.by_memory.entry(memory.clone()).or_default();
            of_memory.entry(id).or_default().insert(role);
        }
        // Of too many buffers the last is not followed any more.
        let all = (id, Role::Requests)..=(id, Role::Buffer(u32::MAX));
        if let Some((last @ (_, Role::Buffer(buffer)), _)) = self.by_role.range(all).next_back()
            && vm.is_none_or(|vm| !vm.buffers.contains_key(buffer))
        {
            self.forget(*last);
        }
    }

    /// A VM is no more, or a new one.
    pub(super) fn clear(&mut self, id: u16) {
        let all = (id, Role::Requests)..=(id, Role::Buffer(u32::MAX));
        let all: Vec<_> = self.by_role.range(all).map(|(role, _)| *role).collect();
        all.into_iter().for_each(|role| self.forget(role));
    }

    fn forget(&mut self, (id, role): (u16, Role)) {
        let Some(memory) = self.by_role.remove(&(id, role)) else {
            return;
        };
        let Some(of_memory) = self.by_memory.get_mut(&memory) else {
            return;
        };
        if let Some(roles) = of_memory.get_mut(&id) {
            roles.remove(&role);
            if roles.is_empty() {
                of_memory.remove(&id);
            }
        }
        if of_memory.is_empty() {
            self.by_memory.remove(&memory);
        }
    }

    /// Another one who has a memory, among the VMs of which that is certain: of several the last.
    pub(super) fn other(
        &self,
        memory: &Memory,
        own: (u16, Role),
        certain: impl Fn(u16) -> bool,
    ) -> Option<(u16, Role)> {
        let of_memory = self.by_memory.get(memory)?;
        let mut vms = of_memory.iter().rev().filter(|(id, _)| certain(**id));
        vms.find_map(|(id, roles)| {
            let mut roles = roles.iter().rev().map(|role| (*id, *role));
            roles.find(|other| *other != own)
        })
    }
}
