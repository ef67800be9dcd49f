//! Every payload lies in memory as the C struct of its name does.
//!
//! `data/layouts.csv` was made by compiling C against ACRN's and Linux's headers (gcc and clang agreed): one row for
//! each field, with its offset and size and its struct's size and alignment. Sources: `acrn_hv` is ACRN's
//! `include/public`, `linux_uapi` Linux's `uapi/linux/acrn.h`, `linux_drv` the structs of Linux's driver, `dm_ioctl`
//! those of ACRN's device model.
//!
//! The Rust side is read through the schema that the derive makes, so this test also holds for what tools decode with.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

use std::collections::{BTreeMap, BTreeSet};

use hypercall_core::Payload;
use hypercall_core::acrn::ioreq::{IoRequest, MmioRequest, PciRequest, PioRequest};
use hypercall_core::acrn::{
    ApiVersion, AsyncIoInfo, CstateData, DescriptorTable, GenericAddress, GpRegs, GpaToHpa, HwInfo,
    IntrMonitor, Intx, IoReqBuffer, IrqLine, MemoryRegion, MmioDevice, MmioResource, MsiEntry,
    NpkLog, PciDevice, PstateData, PtdevIrq, Regs, RtcChange, SbufParam, SetRegions,
    SharedBufferHeader, TrustyBootParam, VcpuRegs, VirtualDevice, VmCreation, VmEvent, VrpConfig,
    WriteProtect,
};
use hypercall_core::schema::{Kind, Role, StructInfo};

/// Structs of ACRN's headers that no hypercall passes, and why.
const NOT_ON_THE_BOUNDARY: &[(&str, &str)] = &[
    ("acpi_sx_pkg", "part of pm_s_state_data"),
    (
        "pm_s_state_data",
        "the hypervisor's own table of sleep states; it holds pointers of its address space",
    ),
    (
        "acrn_cpufreq_limits",
        "the hypervisor's own table of frequency limits",
    ),
    (
        "acrn_vm_config_header",
        "the head of the hypervisor's VM configuration, which no call hands out",
    ),
    (
        "acrn_io_request_buffer",
        "the request page as a whole: IoReqPage, whose slots are acrn_io_request",
    ),
];

/// Members of C unions that Rust reads by a method, and the struct that the method returns (empty for plain numbers).
const UNION_VIEWS: &[(&str, &str, &str)] = &[
    ("acrn_io_request", "reqs.pio_request", "acrn_pio_request"),
    ("acrn_io_request", "reqs.pci_request", "acrn_pci_request"),
    ("acrn_io_request", "reqs.mmio_request", "acrn_mmio_request"),
    ("acrn_io_request", "reqs.data", ""),
    ("acrn_vdev", "id.value", ""),
    ("acrn_vdev", "id.fields", ""),
];

/// Names of the other sources for the structs that ACRN calls differently.
const STRUCT_NAMES: &[(&str, &str)] = &[
    ("vm_memory_region_batch", "set_regions"),
    ("vm_memory_region_op", "vm_memory_region"),
];

/// Names of the other sources for fields that ACRN calls differently. An empty name: looked at elsewhere, or not a
/// field of its own here.
const FIELD_NAMES: &[(&str, &str, &str)] = &[
    ("acrn_vm_creation", "uuid", "name"),
    ("acrn_vm_creation", "uuid.b", "name"),
    ("acrn_mmiodev", "res[].service_vm_pa", "res[].host_pa"),
    ("set_regions", "regions_num", "mr_num"),
    ("set_regions", "reserved", ""), // six bytes there, two fields of the same six bytes here
    ("set_regions", "regions_op", ""), // the array behind the header, which has no size
    ("vm_memory_region", "attr", "prot"),
    ("vm_memory_region", "user_vm_pa", "gpa"),
    ("vm_memory_region", "service_vm_pa", "service_vm_gpa"),
];

/// Structs of the other sources that reach the driver and no further, or that nobody uses any more.
const IOCTL_ONLY: &[&str] = &[
    "acrn_ioeventfd",
    "acrn_ioreq_notify",
    "acrn_irqfd",
    "acrn_vm_memmap",
    "acrn_io_request_buffer",
    "acrn_platform_info",
    "acrn_sbuf",
    // 20 bytes there, 24 in the hypervisor: `ptdev_irq_is_the_one_that_differs` looks at it.
    "acrn_ptdev_irq",
];

struct Row<'c> {
    source: &'c str,
    structure: &'c str,
    field: String,
    offset: usize,
    size: usize,
    total: usize,
    align: usize,
}

fn rows() -> Vec<Row<'static>> {
    let mut lines = include_str!("data/layouts.csv").lines();
    assert_eq!(
        lines.next(),
        Some("source,struct,field,offset,size,total_size,align")
    );
    lines
        .map(|line| {
            let columns: Vec<&str> = line.split(',').collect();
            let [source, structure, field, offset, size, total, align] =
                columns.try_into().expect("seven columns");
            let number = |text: &str| text.parse().expect("a number");
            Row {
                source,
                structure,
                field: plain(field),
                offset: number(offset),
                size: number(size),
                total: number(total),
                align: number(align),
            }
        })
        .collect()
}

/// `name[16]` and `pad:56@bit8` without what the other columns say; `res[].size` stays.
fn plain(field: &str) -> String {
    let field = field.split(':').next().unwrap_or(field);
    match field.split_once('[') {
        Some((name, rest)) if !rest.starts_with("].") => name.to_owned(),
        _ => field.to_owned(),
    }
}

fn info<T: Payload>() -> &'static StructInfo {
    match <T as Payload>::KIND {
        Kind::Struct(info) => info,
        other => panic!("a payload struct has the kind {other:?}"),
    }
}

/// Every payload of the interface that has a C struct, by that struct's name.
fn payloads() -> BTreeMap<&'static str, &'static StructInfo> {
    let all = [
        info::<ApiVersion>(),
        info::<AsyncIoInfo>(),
        info::<CstateData>(),
        info::<DescriptorTable>(),
        info::<GenericAddress>(),
        info::<GpRegs>(),
        info::<GpaToHpa>(),
        info::<HwInfo>(),
        info::<IntrMonitor>(),
        info::<Intx>(),
        info::<IoReqBuffer>(),
        info::<IoRequest>(),
        info::<IrqLine>(),
        info::<MemoryRegion>(),
        info::<MmioDevice>(),
        info::<MmioRequest>(),
        info::<MmioResource>(),
        info::<MsiEntry>(),
        info::<NpkLog>(),
        info::<PciDevice>(),
        info::<PciRequest>(),
        info::<PioRequest>(),
        info::<PstateData>(),
        info::<PtdevIrq>(),
        info::<Regs>(),
        info::<RtcChange>(),
        info::<SbufParam>(),
        info::<SetRegions>(),
        info::<SharedBufferHeader>(),
        info::<TrustyBootParam>(),
        info::<VcpuRegs>(),
        info::<VirtualDevice>(),
        info::<VmCreation>(),
        info::<VmEvent>(),
        info::<VrpConfig>(),
        info::<WriteProtect>(),
    ];
    let by_name: BTreeMap<_, _> = all.iter().map(|info| (info.c_name, *info)).collect();
    assert_eq!(
        by_name.len(),
        all.len(),
        "two payloads have the same C name"
    );
    by_name
}

struct Place {
    offset: usize,
    size: usize,
    reserved: bool,
}

/// Every field by its C path, nested ones too: `gprs`, `id.fields.vendor`, `res[].size`.
fn places(info: &StructInfo) -> BTreeMap<String, Place> {
    let mut found = BTreeMap::new();
    for field in info.fields {
        let mut add = |path: String, offset, size, role| {
            found.insert(
                path,
                Place {
                    offset,
                    size,
                    reserved: role == Role::Reserved,
                },
            );
        };
        add(
            field.c_name.to_owned(),
            field.offset,
            field.size,
            field.role,
        );
        let (inner, infix) = match field.kind {
            // C wraps the three parts of the id into a union and a struct.
            Kind::Struct(inner) if inner.c_name == "acrn_vdev_id" => (inner, ".fields."),
            Kind::Struct(inner) => (inner, "."),
            Kind::Array {
                element: Kind::Struct(inner),
                ..
            } => (*inner, "[]."),
            _ => continue,
        };
        for part in inner.fields {
            add(
                format!("{}{infix}{}", field.c_name, part.c_name),
                field.offset + part.offset,
                part.size,
                part.role,
            );
        }
    }
    found
}

fn union_view(row: &Row<'_>) -> Option<&'static str> {
    UNION_VIEWS
        .iter()
        .find(|(structure, path, _)| *structure == row.structure && *path == row.field)
        .map(|(_, _, view)| *view)
}

#[test]
fn every_field_of_the_hypervisors_structs_is_where_c_puts_it() {
    let payloads = payloads();
    let mut unused: BTreeSet<_> = NOT_ON_THE_BOUNDARY.iter().map(|(name, _)| *name).collect();
    let mut checked = 0;
    for row in rows().iter().filter(|row| row.source == "acrn_hv") {
        let what = format!("{}.{}", row.structure, row.field);
        if NOT_ON_THE_BOUNDARY
            .iter()
            .any(|(name, _)| *name == row.structure)
        {
            assert!(
                !payloads.contains_key(row.structure),
                "{} is a payload after all",
                row.structure
            );
            unused.remove(row.structure);
            continue;
        }
        let info = payloads
            .get(row.structure)
            .unwrap_or_else(|| panic!("no payload for {}", row.structure));
        assert_eq!(
            (info.size, info.align),
            (row.total, row.align),
            "size and alignment of {}",
            row.structure
        );
        let places = places(info);
        checked += 1;
        if let Some(view) = union_view(row) {
            let field = row
                .field
                .split('.')
                .next()
                .expect("a path has a first part");
            let union = places
                .get(field)
                .unwrap_or_else(|| panic!("no field for the union of {what}"));
            assert_eq!(union.offset, row.offset, "offset of {what}");
            let size = payloads.get(view).map_or(union.size, |view| view.size);
            assert_eq!(size, row.size, "size of {what}");
            continue;
        }
        let place = places
            .get(&row.field)
            .unwrap_or_else(|| panic!("no field for {what}"));
        assert_eq!(
            (place.offset, place.size),
            (row.offset, row.size),
            "offset and size of {what}"
        );
    }
    assert!(
        unused.is_empty(),
        "listed as not on the boundary, but not in ACRN's headers: {unused:?}"
    );
    assert_eq!(
        checked, 196,
        "rows checked; the list of those left out must not grow unnoticed"
    );
}

#[test]
fn nothing_is_invented_but_padding() {
    let rows = rows();
    let mut linux_only = Vec::new();
    for (name, info) in payloads() {
        let named: BTreeSet<_> = rows
            .iter()
            .filter(|row| row.source == "acrn_hv" && row.structure == name)
            .map(|row| row.field.clone())
            .collect();
        if named.is_empty() {
            linux_only.push(name);
            continue;
        }
        for field in info.fields {
            assert!(
                named.contains(field.c_name)
                    || (field.role == Role::Reserved && field.name.starts_with("pad")),
                "{name}.{} is neither in C nor padding",
                field.c_name
            );
        }
    }
    // ACRN reads this one as a bare u64.
    assert_eq!(linux_only, ["acrn_ioreq_buffer"]);
}

#[test]
fn fields_cover_their_struct_without_gaps() {
    for (name, info) in payloads() {
        let mut end = 0;
        for field in info.fields {
            assert_eq!(
                field.offset, end,
                "{name}.{} does not follow the field before it",
                field.name
            );
            end = field.offset + field.size;
        }
        assert_eq!(end, info.size, "{name} has bytes behind its last field");
    }
}

#[test]
fn linux_and_the_device_model_agree_with_the_hypervisor() {
    let payloads = payloads();
    let mut checked = 0;
    for row in rows()
        .iter()
        .filter(|row| row.source != "acrn_hv" && !IOCTL_ONLY.contains(&row.structure))
    {
        let structure = STRUCT_NAMES
            .iter()
            .find(|(theirs, _)| *theirs == row.structure)
            .map_or(row.structure, |(_, ours)| *ours);
        let field = FIELD_NAMES
            .iter()
            .find(|(name, theirs, _)| *name == structure && *theirs == row.field)
            .map_or(row.field.as_str(), |(_, _, ours)| *ours);
        if field.is_empty() || union_view(row).is_some() {
            continue;
        }
        let what = format!("{}: {}.{}", row.source, row.structure, row.field);
        let info = payloads
            .get(structure)
            .unwrap_or_else(|| panic!("no payload for {what}"));
        assert_eq!(
            (info.size, info.align),
            (row.total, row.align),
            "size and alignment of {what}"
        );
        let places = places(info);
        let place = places
            .get(field)
            .unwrap_or_else(|| panic!("no field for {what}"));
        assert_eq!(
            (place.offset, place.size),
            (row.offset, row.size),
            "offset and size of {what}"
        );
        checked += 1;
    }
    assert_eq!(
        checked, 124,
        "rows checked; the list of those left out must not grow unnoticed"
    );
}

#[test]
fn ptdev_irq_is_the_one_that_differs() {
    let ours = info::<PtdevIrq>();
    let rows = rows();
    let theirs: Vec<_> = rows
        .iter()
        .filter(|row| row.source == "linux_uapi" && row.structure == "acrn_ptdev_irq")
        .collect();
    assert!(theirs.iter().all(|row| row.total == 20 && row.align == 4));
    assert_eq!((ours.size, ours.align), (24, 8));
    let places = places(ours);
    for row in theirs.iter().filter(|row| row.field != "intx.is_pic_pin") {
        let place = places
            .get(&row.field)
            .expect("the first 20 bytes are the same");
        assert_eq!(
            (place.offset, place.size),
            (row.offset, row.size),
            "{}",
            row.field
        );
    }
    // Four bytes there; one and three reserved ones here.
    let pin = places.get("intx.pic_pin").expect("a field");
    let rest = places.get("intx.reserved").expect("a field");
    assert_eq!((pin.offset, pin.size + rest.size), (16, 4));
}

#[test]
fn what_has_no_meaning_is_marked_reserved() {
    for (name, info) in payloads() {
        for (path, place) in places(info) {
            let last = path.rsplit('.').next().unwrap_or(&path);
            // In the request of PCI's kind Linux leaves a port number there, but nobody reads it.
            let meaningless = last.starts_with("reserved") || last.starts_with("pad");
            assert_eq!(place.reserved, meaningless, "{name}.{path}");
        }
    }
}
