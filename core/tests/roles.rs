//! What each address and each name in ACRN's calls means for the reader of a trace: bound to another run's, or compared.

#![allow(clippy::panic, clippy::expect_used, reason = "a test")]

use std::collections::BTreeMap;

use hypercall_core::acrn::HypervisorCalls;
use hypercall_core::call::{LinkTarget, RegisterInfo};
use hypercall_core::schema::{Kind, Role};

/// Every field, by the call and its path.
fn fields() -> BTreeMap<String, (Kind, Role)> {
    let mut found = BTreeMap::new();
    for call in HypervisorCalls::INTERFACE.calls {
        for register in &call.registers {
            match register {
                RegisterInfo::Value {
                    name, kind, role, ..
                } => walk(&format!("{}.{name}", call.name), *kind, *role, &mut found),
                RegisterInfo::Block { kind, link, .. } => {
                    walk(call.name, *kind, Role::Plain, &mut found);
                    if let Some(link) = link
                        && let LinkTarget::Array { kind, .. } = &link.target
                    {
                        walk(&format!("{}[]", call.name), *kind, Role::Plain, &mut found);
                    }
                }
                RegisterInfo::Unused | RegisterInfo::Bytes { .. } => {}
            }
        }
    }
    found
}

fn walk(path: &str, kind: Kind, role: Role, found: &mut BTreeMap<String, (Kind, Role)>) {
    match kind {
        Kind::Struct(info) => {
            for field in info.fields {
                walk(
                    &format!("{path}.{}", field.name),
                    field.kind,
                    field.role,
                    found,
                );
            }
        }
        Kind::Array { element, .. } if matches!(element, Kind::Struct(_)) => {
            walk(&format!("{path}[]"), *element, role, found);
        }
        _ => {
            found.insert(path.to_owned(), (kind, role));
        }
    }
}

/// Addresses that the caller's machine gave are bound; those that the program chose in a VM's layout are compared.
#[test]
fn every_address_has_its_role() {
    let addresses: BTreeMap<String, Role> = fields()
        .into_iter()
        .filter(|(_, (kind, role))| {
            matches!(kind, Kind::Id("Gpa" | "Hpa")) || *role == Role::Address
        })
        .map(|(path, (_, role))| (path, role))
        .collect();
    let expected = [
        // In the VM: the program's layout.
        ("asyncio_assign.addr", Role::Plain),
        ("asyncio_deassign.addr", Role::Plain),
        ("assign_mmiodev.resources[].user_vm_pa", Role::Plain),
        ("deassign_mmiodev.resources[].user_vm_pa", Role::Plain),
        ("set_memory_regions[].gpa", Role::Plain),
        ("vm_gpa2hpa.gpa", Role::Plain),
        ("write_protect_page.gpa", Role::Plain),
        // In the Service VM, or in the VM that calls: allocated.
        ("create_vm.ioreq_buf", Role::Address),
        ("initialize_trusty.base_addr", Role::Address),
        ("initialize_trusty.base_addr_high", Role::Address),
        ("initialize_trusty.entry_point", Role::Address),
        ("initialize_trusty.entry_point_high", Role::Address),
        ("set_ioreq_buffer.ioreq_buf", Role::Address),
        ("set_memory_regions.regions_gpa", Role::Address),
        ("set_memory_regions[].service_vm_gpa", Role::Address),
        ("setup_sbuf.gpa", Role::Address),
        // In the machine.
        ("assign_mmiodev.resources[].host_pa", Role::Address),
        ("deassign_mmiodev.resources[].host_pa", Role::Address),
        ("setup_hv_npk_log.mmio_addr", Role::Address),
        ("vm_gpa2hpa.hpa", Role::Address),
    ];
    let expected: BTreeMap<String, Role> = expected
        .into_iter()
        .map(|(path, role)| (path.to_owned(), role))
        .collect();
    assert_eq!(addresses, expected);
}

/// VM ids are the only names that the hypervisor gives out, wherever they stand.
#[test]
fn every_vm_id_is_a_handle() {
    let mut handles = 0;
    for (path, (kind, role)) in fields() {
        let is_vm = kind == Kind::Id("VmId");
        assert_eq!(role == Role::Handle, is_vm, "{path}");
        handles += usize::from(is_vm);
    }
    assert!(handles > 20, "{handles}");
    assert_eq!(fields()["pm_get_cx_data.command.vm"].1, Role::Handle);
}
