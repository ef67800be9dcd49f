//! What existed at a point of a trace: VMs with their memory, devices and buffers, derived from ACRN's calls alone.
//!
//! Entries are taken in the order of time ([`Recorded::in_time`](crate::replay::Recorded::in_time), or
//! [`Trace::merged`](crate::read::Trace::merged) where that is [in order](crate::read::Merged::in_order): in another order, what
//! comes out is wrong). What a trace does not show is not known: a VM that was
//! created before the recording began has the state [`Unknown`](VmState::Unknown) until a call tells, and calls that are
//! missing make every VM's state unknown again.
//!
//! ```no_run
//! use hypercall_trace::{read::Trace, replay::Recorded, state::{VmState, state_at}};
//!
//! let trace = Recorded::read(&Trace::open("boot.hct")?)?;
//! let machine = state_at(&trace, 412);
//! let running = machine.vms.values().filter(|vm| vm.state == VmState::Running);
//! println!("{} VMs ran then; all that was known:\n{machine}", running.count());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod apply;
mod coverage;
mod devices;
pub(crate) mod field;
pub(crate) mod memory;
mod show;

pub use apply::impossible_id;
pub(crate) use apply::{handed, target};
pub use memory::{Iter, Region, Regions};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::entry::Entry;
use crate::replay::Recorded;

/// VMs that ACRN can have.
const MAX_VMS: u16 = 16;
/// What is listed of a VM of each kind, but for memory.
const MAX_LISTED: usize = 4096;

/// A place in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct At {
    /// The entry's number in the trace, from 0.
    pub position: u64,
    /// The lane.
    pub lane: String,
    /// The call's index in its lane.
    pub index: u64,
}

impl std::fmt::Display for At {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{} (entry {})", self.lane, self.index, self.position)
    }
}

/// The machine, as a trace tells. It is of one recording: in a file that was joined from several, each
/// [recording](crate::read::Merged::recording) has one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// VMs that exist, by id. The Service VM is 0, and listed only where a call was about it.
    pub vms: BTreeMap<u16, Vm>,
    /// VMs that were destroyed, by id: where. None that were destroyed before calls that are missing: the id may be another VM's.
    pub destroyed: BTreeMap<u16, At>,
    /// Ids that `create_vm` answered and that no new VM can have: where last. There is no such VM.
    pub impossible: BTreeMap<u16, At>,
    /// Buffers of processors, by processor and buffer id.
    #[serde(serialize_with = "as_list")]
    pub buffers: BTreeMap<(u16, u32), Memory>,
    /// The upcall's vector, where a call set it.
    pub upcall_vector: Option<u64>,
    /// Processors that the Service VM gave away, by APIC id.
    pub offline: Vec<u64>,
    /// Calls that are missing from the trace until here, of those whose number is known; and calls in records of a kind that this
    /// version does not know.
    pub missing: u64,
    /// Whether there are others, of which nobody knows how many.
    pub missing_unknown: bool,
    /// There is more than is listed here: of buffers and of processors, 4096 are; and of VMs those that ACRN can have, with ids below
    /// 16.
    pub more: bool,
}

fn as_list<S: serde::Serializer>(
    buffers: &BTreeMap<(u16, u32), Memory>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct One<'m> {
        pcpu: u16,
        id: u32,
        memory: &'m Memory,
    }
    let list = buffers.iter().map(|((pcpu, id), memory)| One {
        pcpu: *pcpu,
        id: *id,
        memory,
    });
    serializer.collect_seq(list)
}

/// A VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vm {
    /// Its name; `None` where it was created before the recording began.
    pub name: Option<String>,
    /// Its state.
    pub state: VmState,
    /// Where it was created; `None` where that was before the recording began.
    pub created: Option<At>,
    /// How many vCPUs it has, where that is known.
    pub vcpus: Option<u64>,
    /// What it was asked to be, as bits.
    pub flags: u64,
    /// The page of its I/O requests.
    pub request_page: Option<Memory>,
    /// Its memory, in the order of addresses.
    pub regions: Regions,
    /// A call failed in the middle of several regions, and nobody knows where: [`regions`](Self::regions) may be wrong.
    pub regions_uncertain: bool,
    /// Devices that were passed through or added.
    pub devices: Vec<Device>,
    /// Interrupt pins that were connected.
    pub lines: Vec<Line>,
    /// Its buffers, by id.
    pub buffers: BTreeMap<u32, Memory>,
    /// Addresses whose writes need no answer.
    pub asyncio: Vec<AsyncIo>,
    /// Pages that it may not write.
    pub protected: Vec<u64>,
    /// There are more of something than is listed here: of memory, 65,536 ranges are; of all else, 4096.
    pub more: bool,
}

impl Vm {
    /// Keeps the lists within bounds: a trace may be hostile, and larger than memory. The regions keep to theirs by themselves.
    fn bound(&mut self) {
        let most = MAX_LISTED;
        let more = self.devices.len() > most
            || self.lines.len() > most
            || self.asyncio.len() > most
            || self.protected.len() > most
            || self.buffers.len() > most;
        self.devices.truncate(most);
        self.lines.truncate(most);
        self.asyncio.truncate(most);
        self.protected.truncate(most);
        while self.buffers.len() > most {
            self.buffers.pop_last();
        }
        self.more |= more;
    }
}

/// A VM's state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VmState {
    /// The trace does not tell.
    #[default]
    Unknown,
    /// Created, or reset.
    Created,
    /// Started.
    Running,
    /// Paused.
    Paused,
}

/// Memory that was handed to the hypervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Memory {
    /// A page that was watched: its lane and its number there.
    Page {
        /// The lane's name.
        lane: String,
        /// The page's number.
        number: u32,
    },
    /// Pages that nobody watched: the trace does not tell them apart.
    Pages {
        /// How many.
        count: u32,
    },
    /// An address.
    Address {
        /// Guest physical, of the Service VM.
        gpa: u64,
    },
}

/// A device of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Device {
    /// A PCI function, passed through.
    Pci {
        /// Its address in the VM.
        virt: u16,
        /// Its address in the machine.
        phys: u16,
    },
    /// A device's registers, passed through.
    Mmio {
        /// Its name.
        name: String,
        /// Where its first range is in the machine.
        host: u64,
    },
    /// A device that the hypervisor emulates.
    Virtual {
        /// Its PCI vendor.
        vendor: u64,
        /// Its PCI device.
        device: u64,
        /// Its address in the VM.
        slot: u16,
    },
}

/// A connected interrupt pin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The device's address in the VM.
    pub virt: u16,
    /// The pin in the VM.
    pub virt_pin: u64,
    /// The pin in the machine.
    pub phys_pin: u64,
}

/// An address whose writes need no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AsyncIo {
    /// 1: a port. 2: memory.
    pub kind: u64,
    /// The address.
    pub addr: u64,
    /// The number that the write puts into the ring.
    pub fd: u64,
}

impl Machine {
    /// A machine of which nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next entry, in the order of time.
    pub fn take(&mut self, position: u64, lane: &str, entry: &Entry) {
        match entry {
            Entry::Call(call) => {
                let at = At {
                    position,
                    lane: lane.to_owned(),
                    index: call.index,
                };
                self.apply(&at, call);
            }
            Entry::Lost(lost) => self.lose(lost.how_many()),
            Entry::Damaged(damaged) if damaged.how_many() == Some(0) => {}
            Entry::Damaged(damaged) => self.lose(damaged.how_many()),
            // Whatever that call did.
            Entry::Unknown(unknown) if unknown.is_call() => self.lose(Some(1)),
            Entry::Pages(_) | Entry::Unknown(_) => {}
        }
    }

    /// Calls are missing here: what VMs exist and what state they have is as it was, or not.
    fn lose(&mut self, count: Option<u64>) {
        self.missing = self.missing.saturating_add(count.unwrap_or(0));
        self.missing_unknown |= count.is_none();
        self.forget();
    }

    /// Calls may be missing here.
    pub(crate) fn forget(&mut self) {
        // The id may have been given to another VM.
        self.destroyed.clear();
        for vm in self.vms.values_mut() {
            vm.state = VmState::Unknown;
        }
    }
}

/// What existed after the entry at a position of a trace, or at its end where there are fewer. Of entries of several
/// [recordings](Recorded::joined): as the recording of that entry tells.
#[must_use]
pub fn state_at(recorded: &Recorded, position: u64) -> Machine {
    let mut machine = Machine::new();
    let names = recorded.names();
    let mut current = 0;
    for (at, (recording, entry)) in (0..).zip(recorded.in_time_by_recording()) {
        if at > position {
            break;
        }
        if std::mem::replace(&mut current, recording) != recording {
            machine = Machine::new();
        }
        let lane = entry.lane().map(&names).unwrap_or_default();
        machine.take(at, &lane, entry);
    }
    machine
}
