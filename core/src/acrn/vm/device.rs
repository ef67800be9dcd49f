//! Devices of a VM, and the memory of which ones there are.
//!
//! Why they are remembered: `DESTROY_VM` gives PCI functions back by itself, but not the registers of an MMIO device,
//! which the Service VM would have lost; and an emulated device that is not removed comes back with the slot's next VM
//! (`vpci_init_vdevs`).

use super::handle::Vm;
use super::state::{Created, Stopped};
use crate::Error;
use crate::acrn::{
    Bdf, Hypervisor, HypervisorCalls, MmioDevice, PciDevice, VdevId, VirtualDevice, VmId, codes,
};

/// How many PCI functions a handle remembers.
pub const PCI_DEVICES: usize = 16;
/// How many MMIO devices a handle remembers.
pub const MMIO_DEVICES: usize = 2;
/// How many emulated devices a handle remembers.
pub const VIRTUAL_DEVICES: usize = 8;

const FULL: &str = "the handle has no room to remember another device of this kind";

/// What is assigned, or may be.
pub(super) struct Devices {
    pci: Table<Function, PCI_DEVICES>,
    mmio: Table<MmioDevice, MMIO_DEVICES>,
    emulated: Table<Emulated, VIRTUAL_DEVICES>,
}

/// What counts of a [`PciDevice`] when it is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Function {
    virt: Bdf,
    phys: Bdf,
}

/// What counts of a [`VirtualDevice`] when it is removed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Emulated {
    id: VdevId,
    bdf: Bdf,
}

impl Function {
    const fn of(device: &PciDevice) -> Self {
        Self {
            virt: device.virt_bdf,
            phys: device.phys_bdf,
        }
    }
}

impl Emulated {
    const fn of(device: &VirtualDevice) -> Self {
        Self {
            id: device.id,
            bdf: device.bdf(),
        }
    }
}

impl Devices {
    pub(super) const fn new() -> Self {
        Self {
            pci: Table([None; PCI_DEVICES]),
            mmio: Table([None; MMIO_DEVICES]),
            emulated: Table([None; VIRTUAL_DEVICES]),
        }
    }

    /// Gives everything back, for a VM that is created or paused. Stops at the first that cannot be.
    ///
    /// What the hypervisor does not find counts as back: raw calls, or a call without an answer, may have been first.
    pub(super) fn give_back(
        &mut self,
        hypervisor: &impl Hypervisor,
        vm: VmId,
    ) -> Result<(), Error> {
        self.mmio
            .drain(None, |device| hypervisor.deassign_mmiodev(vm, &device))?;
        self.pci.drain(Some(codes::ENODEV), |function| {
            let device = PciDevice::new(function.virt, function.phys);
            hypervisor.deassign_pcidev(vm, &device)
        })?;
        self.emulated.drain(Some(codes::EINVAL), |device| {
            hypervisor.remove_vdev(vm, &VirtualDevice::new(device.id, device.bdf))
        })
    }
}

/// A few entries without order.
struct Table<T, const N: usize>([Option<T>; N]);

impl<T: Copy + PartialEq, const N: usize> Table<T, N> {
    fn has(&self, entry: T) -> bool {
        self.0.contains(&Some(entry))
    }

    fn is_full(&self) -> bool {
        self.0.iter().all(Option::is_some)
    }

    fn remove(&mut self, entry: T) {
        for place in &mut self.0 {
            if *place == Some(entry) {
                *place = None;
            }
        }
    }

    /// Makes a call that adds an entry, and remembers the entry unless the call surely did nothing.
    fn add(
        &mut self,
        entry: T,
        full: Error,
        call: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.has(entry) && self.is_full() {
            return Err(full);
        }
        let outcome = call();
        let maybe = match &outcome {
            Ok(()) => true,
            Err(error) => error.may_have_run(),
        };
        if maybe
            && !self.has(entry)
            && let Some(place) = self.0.iter_mut().find(|place| place.is_none())
        {
            *place = Some(entry);
        }
        outcome
    }

    /// Makes a call that takes an entry away, and forgets the entry when it is gone: `absent` is how the hypervisor
    /// says that it was not there.
    fn give(
        &mut self,
        entry: T,
        absent: Option<i64>,
        call: impl FnOnce() -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outcome = call();
        let gone = match &outcome {
            Ok(()) => true,
            Err(error) => absent.is_some() && error.code() == absent,
        };
        if gone {
            self.remove(entry);
        }
        outcome
    }

    fn drain(
        &mut self,
        absent: Option<i64>,
        mut call: impl FnMut(T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while let Some(entry) = self.0.iter().find_map(|place| *place) {
            let outcome = self.give(entry, absent, || call(entry));
            if self.has(entry) {
                return outcome;
            }
        }
        Ok(())
    }
}

impl<H: Hypervisor, P> Vm<H, Created, P> {
    /// Passes a PCI function through.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where the handle remembers [`PCI_DEVICES`] already, and nothing was
    /// issued; and as [`Hypervisor::assign_pcidev`]. A device is remembered also where the answer was lost.
    pub fn assign_pci(&mut self, device: &PciDevice) -> Result<(), Error> {
        let id = self.id();
        let full = Error::invalid(HypervisorCalls::ASSIGN_PCIDEV, self.body.args(), FULL);
        let hypervisor = &self.body.hypervisor;
        self.body.devices.pci.add(Function::of(device), full, || {
            hypervisor.assign_pcidev(id, device)
        })
    }

    /// Passes the registers of a device through. The machine's addresses must be the device's own: the hypervisor maps
    /// whatever is there, its own memory included.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), and nothing was issued: an address or a size that is no multiple of 4096,
    /// which would be refused with the ranges before it done; or the handle remembers [`MMIO_DEVICES`] already. And as
    /// [`Hypervisor::assign_mmiodev`]. A device is remembered also where the answer was lost.
    pub fn assign_mmio(&mut self, device: &MmioDevice) -> Result<(), Error> {
        const UNALIGNED: &str = "an address or a size of the device is no multiple of 4096";
        let id = self.id();
        let invalid =
            |why| Error::invalid(HypervisorCalls::ASSIGN_MMIODEV, [u64::from(id.0), 0], why);
        let aligned = device.resources.iter().all(|range| {
            [range.user_vm_pa.0, range.host_pa.0, range.size]
                .iter()
                .all(|number| number.is_multiple_of(4096))
        });
        if !aligned {
            return Err(invalid(UNALIGNED));
        }
        let hypervisor = &self.body.hypervisor;
        self.body.devices.mmio.add(*device, invalid(FULL), || {
            hypervisor.assign_mmiodev(id, device)
        })
    }

    /// Adds a device that the hypervisor emulates.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where the handle remembers [`VIRTUAL_DEVICES`] already, and nothing was
    /// issued; and as [`Hypervisor::add_vdev`]. A device is remembered also where the answer was lost.
    pub fn add_virtual(&mut self, device: &VirtualDevice) -> Result<(), Error> {
        let id = self.id();
        let full = Error::invalid(HypervisorCalls::ADD_VDEV, self.body.args(), FULL);
        let hypervisor = &self.body.hypervisor;
        self.body
            .devices
            .emulated
            .add(Emulated::of(device), full, || {
                hypervisor.add_vdev(id, device)
            })
    }
}

impl<H: Hypervisor, S: Stopped, P> Vm<H, S, P> {
    /// Gives a PCI function back to the Service VM.
    ///
    /// # Errors
    /// As [`Hypervisor::deassign_pcidev`]: -19 where the VM does not have it, and the handle then forgets it.
    pub fn deassign_pci(&mut self, device: &PciDevice) -> Result<(), Error> {
        let id = self.id();
        let hypervisor = &self.body.hypervisor;
        let function = Function::of(device);
        self.body
            .devices
            .pci
            .give(function, Some(codes::ENODEV), || {
                hypervisor.deassign_pcidev(id, device)
            })
    }

    /// Gives the registers of a device back to the Service VM.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where the handle does not remember exactly this device, and nothing was
    /// issued: the Service VM would get whatever memory it names, the hypervisor's included. And as
    /// [`Hypervisor::deassign_mmiodev`].
    pub fn deassign_mmio(&mut self, device: &MmioDevice) -> Result<(), Error> {
        const UNKNOWN: &str = "this handle did not assign the device";
        let id = self.id();
        if !self.body.devices.mmio.has(*device) {
            let call = HypervisorCalls::DEASSIGN_MMIODEV;
            return Err(Error::invalid(call, self.body.args(), UNKNOWN));
        }
        let hypervisor = &self.body.hypervisor;
        self.body
            .devices
            .mmio
            .give(*device, None, || hypervisor.deassign_mmiodev(id, device))
    }

    /// Removes an emulated device.
    ///
    /// # Errors
    /// As [`Hypervisor::remove_vdev`]: -22 where there is no such device, and the handle then forgets it.
    pub fn remove_virtual(&mut self, device: &VirtualDevice) -> Result<(), Error> {
        let id = self.id();
        let hypervisor = &self.body.hypervisor;
        let emulated = Emulated::of(device);
        self.body
            .devices
            .emulated
            .give(emulated, Some(codes::EINVAL), || {
                hypervisor.remove_vdev(id, device)
            })
    }
}
