//! The state of a machine as text.

use std::fmt;

use hypercall_core::acrn::MemoryProt;

use super::{Device, Machine, Memory, Region, Vm, VmState};

impl fmt::Display for VmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "in a state that the trace does not tell",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
        })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Page { lane, number } => write!(f, "page {number} of lane {lane}"),
            Self::Pages { count: 1 } => f.write_str("a page that was not watched"),
            Self::Pages { count } => write!(f, "{count} pages that were not watched"),
            Self::Address { gpa } => write!(f, "{gpa:#x}"),
        }
    }
}

/// A PCI function as `lspci` writes it.
struct Bdf(u16);

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hypercall_core::acrn::Bdf(self.0).fmt(f)
    }
}

/// `READ|WRITE|WB`, bits without a name as a number.
struct Rights(u64);

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut bar = "";
        for (name, right) in MemoryProt::all().iter_names() {
            let bits = u64::from(right.bits());
            if rest & bits != 0 {
                rest &= !bits;
                write!(f, "{bar}{name}")?;
                bar = "|";
            }
        }
        match (rest, bar) {
            (0, "") => f.write_str("no rights"),
            (0, _) => Ok(()),
            (rest, bar) => write!(f, "{bar}{rest:#x}"),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci { virt, phys } => {
                write!(f, "PCI function {}, in the VM {}", Bdf(*phys), Bdf(*virt))
            }
            Self::Mmio { name, host } => write!(f, "device \"{name}\" with registers at {host:#x}"),
            Self::Virtual {
                vendor,
                device,
                slot,
            } => {
                write!(
                    f,
                    "emulated device {vendor:04x}:{device:04x} at {}",
                    Bdf(*slot)
                )
            }
        }
    }
}

impl fmt::Display for Vm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "\"{name}\", {}", self.state)?,
            None => write!(f, "created before the recording began, {}", self.state)?,
        }
        if let Some(vcpus) = self.vcpus {
            let plural = if vcpus == 1 { "" } else { "s" };
            write!(f, ", {vcpus} vCPU{plural}")?;
        }
        writeln!(f)?;
        if let Some(at) = &self.created {
            writeln!(f, "  created at {at}")?;
        }
        if let Some(page) = &self.request_page {
            writeln!(f, "  I/O requests in {page}")?;
        }
        for Region {
            gpa,
            from,
            size,
            prot,
        } in &self.regions
        {
            writeln!(
                f,
                "  memory {gpa:#x}, {size:#x} bytes, from {from:#x}, {}",
                Rights(*prot)
            )?;
        }
        if self.regions_uncertain {
            writeln!(
                f,
                "  a call failed in the middle of several regions: the memory may be otherwise"
            )?;
        }
        for device in &self.devices {
            writeln!(f, "  {device}")?;
        }
        for line in &self.lines {
            let (virt, phys) = (line.virt_pin, line.phys_pin);
            writeln!(
                f,
                "  pin {virt} of {} is the machine's {phys}",
                Bdf(line.virt)
            )?;
        }
        for (id, memory) in &self.buffers {
            writeln!(f, "  buffer {id} in {memory}")?;
        }
        for one in &self.asyncio {
            let kind = if one.kind == 1 { "port" } else { "address" };
            writeln!(
                f,
                "  writes to {kind} {:#x} put {} into the ring",
                one.addr, one.fd
            )?;
        }
        for page in &self.protected {
            writeln!(f, "  page {page:#x} may not be written")?;
        }
        if self.more {
            writeln!(f, "  and more, which is not listed")?;
        }
        Ok(())
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = (self.missing != 0).then_some(self.missing);
        let unknown = self.missing_unknown.then_some(None);
        for count in known.map(Some).into_iter().chain(unknown) {
            writeln!(
                f,
                "{} missing until here: what follows may be wrong",
                crate::plural::calls_are(count)
            )?;
        }
        for (id, vm) in &self.vms {
            write!(f, "VM {id}: {vm}")?;
        }
        for (id, at) in &self.destroyed {
            writeln!(f, "VM {id}: destroyed at {at}")?;
        }
        for (id, at) in &self.impossible {
            writeln!(
                f,
                "no VM {id}: create_vm answered this id at {at}, and no new VM can have it"
            )?;
        }
        for ((pcpu, id), memory) in &self.buffers {
            writeln!(f, "processor {pcpu}: buffer {id} in {memory}")?;
        }
        if let Some(vector) = self.upcall_vector {
            writeln!(f, "upcalls have vector {vector:#x}")?;
        }
        for lapic in &self.offline {
            writeln!(
                f,
                "the Service VM gave away the processor with APIC id {lapic}"
            )?;
        }
        if self.more {
            writeln!(f, "and more, which is not listed")?;
        }
        Ok(())
    }
}
