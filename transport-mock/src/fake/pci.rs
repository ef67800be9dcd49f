//! PCI functions that VMs have: passed through, or emulated by the hypervisor.
//!
//! Rules: ACRN `vpci_assign_pcidev`, `vpci_deassign_pcidev`, `vpci_init_vdev`, `vpci_deinit_vdev`, `vpci_init_vdevs`,
//! `deinit_vpci` (dm/vpci/vpci.c), `check_pt_dev_pio_bars`, `pci_vdev_write_vbar` (dm/vpci/vdev.c),
//! `hcall_add_vdev`, `hcall_remove_vdev`, `find_emul_dev_ops` (common/hypercall.c), `create_ivshmem_vdev`,
//! `create_vmcs9900_vdev`, `create_vrp` (dm/vpci).

use alloc::vec::Vec;

use hypercall_core::acrn::{PciDevice, VdevId, VirtualDevice};

use super::{
    answer::{Answer, EINVAL, EIO, ENODEV, ENOTTY},
    config::{Bar, PciFunction, VdevSlot},
    machine::Machine,
    vm::VmState,
};

/// `UNASSIGNED_VBDF`: the device is in the configuration and not in the VM.
pub(crate) const UNASSIGNED: u16 = 0xffff;
/// `CONFIG_MAX_PCI_DEV_NUM`.
const MAX_DEVICES: usize = 96;

/// A function on a VM's virtual bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vdev {
    pub(crate) bdf: u16,
    /// The real function behind it.
    pub(crate) physical: Option<u16>,
    /// Whether this VM uses it itself (`vdev->user == vdev`).
    pub(crate) own: bool,
    /// It came from the Service VM and goes back there.
    borrowed: bool,
    bridge: bool,
    bars: [Bar; 6],
    /// Which configured device slot it was made from.
    slot: Option<usize>,
}

impl Vdev {
    /// A real function, in the Service VM's hands.
    pub(crate) const fn physical(function: &PciFunction) -> Self {
        Self {
            bdf: function.bdf,
            physical: Some(function.bdf),
            own: true,
            borrowed: false,
            bridge: function.bridge,
            bars: function.bars,
            slot: None,
        }
    }

    const fn emulated(bdf: u16, slot: usize) -> Self {
        Self {
            bdf,
            physical: None,
            own: true,
            borrowed: false,
            bridge: false,
            bars: [Bar::None; 6],
            slot: Some(slot),
        }
    }
}

impl Machine {
    /// The function at a place; where there are several, the one that came last.
    pub(crate) fn find_vdev(&self, number: u16, bdf: u16) -> Option<&Vdev> {
        self.slot(number)?
            .vdevs
            .iter()
            .rev()
            .find(|vdev| vdev.bdf == bdf)
    }

    pub(crate) fn assign_pci(&mut self, number: u16, device: &PciDevice) -> Answer {
        let service = self.service;
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Created {
            return Err(EINVAL);
        }
        let full = slot.vdevs.len() >= MAX_DEVICES;
        let found = self
            .find_vdev(service, device.phys_bdf.0)
            .filter(|vdev| vdev.own && vdev.physical.is_some() && !vdev.bridge);
        let mut vdev = found.cloned().ok_or(ENODEV)?;
        self.set_own(service, device.phys_bdf.0, false);
        if full {
            return Err(super::answer::Fail::Code(-14));
        }
        let moved = vdev
            .bars
            .iter()
            .zip(device.bar)
            .any(|(bar, asked)| match bar {
                Bar::Ports { base, .. } => asked & 0xfffc != u32::from(*base) & 0xfffc,
                _ => false,
            });
        if moved {
            // The half-made function stays on the bus, at its physical place and without a user.
            vdev.own = false;
            self.slot_mut(number).ok_or(ENOTTY)?.vdevs.push(vdev);
            self.set_own(service, device.phys_bdf.0, true);
            return Err(EIO);
        }
        vdev.bdf = device.virt_bdf.0;
        vdev.borrowed = true;
        self.slot_mut(number).ok_or(ENOTTY)?.vdevs.push(vdev);
        Ok(())
    }

    pub(crate) fn deassign_pci(&mut self, number: u16, device: &PciDevice) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if !matches!(slot.state, VmState::Created | VmState::Paused) {
            return Err(EINVAL);
        }
        let found = self.find_vdev(number, device.virt_bdf.0);
        let fits = found.is_some_and(|vdev| vdev.own && vdev.physical == Some(device.phys_bdf.0));
        if !fits {
            return Err(ENODEV);
        }
        if let Some(vdev) = self.take_vdev(number, device.virt_bdf.0) {
            self.give_back(&vdev);
        }
        Ok(())
    }

    pub(crate) fn add_vdev(&mut self, number: u16, device: &VirtualDevice) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Created {
            return Err(EINVAL);
        }
        let [first, second, ..] = device.args;
        let [.., bus, _, _] = device.args.first_chunk::<7>().copied().unwrap_or_default();
        let position =
            |wanted: &dyn Fn(&VdevSlot) -> bool| slot.config.vdevs.iter().position(wanted);
        let (chosen, missing) = match device.id {
            VdevId::IVSHMEM => {
                let named = position(&|slot: &VdevSlot| same_region(&slot.region, &device.args));
                let [_, _, size, ..] = device.io_size;
                let fits = |at: &usize| {
                    slot.config.vdevs.get(*at).is_some_and(|slot| {
                        slot.region_size != 0 && slot.region_size == u64::from(size)
                    })
                };
                (named.filter(fits), Err(EINVAL))
            }
            VdevId::MCS9900 => {
                let uart = u16::from_le_bytes([first, second]);
                (position(&|slot: &VdevSlot| slot.uart == uart), Err(EINVAL))
            }
            // A root port that the configuration does not know is no error.
            VdevId::ROOT_PORT => (
                position(&|slot: &VdevSlot| slot.secondary_bus == u16::from(bus)),
                Ok(()),
            ),
            _ => return Err(EINVAL),
        };
        let Some(chosen) = chosen else {
            return missing;
        };
        let bdf = device.bdf().0;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if let Some(remembered) = slot.vdev_bdfs.get_mut(chosen) {
            *remembered = bdf;
        }
        if slot.vdevs.len() >= MAX_DEVICES {
            return Err(if device.id == VdevId::ROOT_PORT {
                super::answer::Fail::Code(-14)
            } else {
                EINVAL
            });
        }
        slot.vdevs.push(Vdev::emulated(bdf, chosen));
        Ok(())
    }

    pub(crate) fn remove_vdev(&mut self, number: u16, device: &VirtualDevice) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        let state = matches!(slot.state, VmState::Created | VmState::Paused);
        let known = matches!(
            device.id,
            VdevId::IVSHMEM | VdevId::MCS9900 | VdevId::ROOT_PORT
        );
        if !state || !known {
            return Err(EINVAL);
        }
        let vdev = self.take_vdev(number, device.bdf().0).ok_or(EINVAL)?;
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if let Some(remembered) = vdev.slot.and_then(|at| slot.vdev_bdfs.get_mut(at)) {
            *remembered = UNASSIGNED;
        }
        Ok(())
    }

    /// A device slot that still has a place from an earlier VM is filled at once.
    pub(crate) fn attach_remembered_vdevs(&mut self, number: u16) {
        if let Some(slot) = self.slot_mut(number) {
            slot.vdevs = slot
                .vdev_bdfs
                .iter()
                .enumerate()
                .filter(|(_, bdf)| **bdf != UNASSIGNED)
                .map(|(at, bdf)| Vdev::emulated(*bdf, at))
                .collect();
        }
    }

    /// Takes every function off a VM's bus; real ones that it used go back, with their interrupt lines.
    pub(crate) fn detach_all(&mut self, number: u16) {
        let vdevs: Vec<Vdev> = self
            .slot_mut(number)
            .map(|slot| core::mem::take(&mut slot.vdevs))
            .unwrap_or_default();
        for vdev in vdevs.iter().filter(|vdev| vdev.own) {
            self.give_back(vdev);
        }
        self.lines.retain(|line| line.vm != number);
    }

    fn take_vdev(&mut self, number: u16, bdf: u16) -> Option<Vdev> {
        let vdevs = &mut self.slot_mut(number)?.vdevs;
        let at = vdevs.iter().rposition(|vdev| vdev.bdf == bdf)?;
        Some(vdevs.remove(at))
    }

    fn give_back(&mut self, vdev: &Vdev) {
        if let Some(physical) = vdev.physical.filter(|_| vdev.borrowed) {
            self.set_own(self.service, physical, true);
        }
    }

    fn set_own(&mut self, number: u16, bdf: u16, own: bool) {
        let vdevs = self.slot_mut(number).map(|slot| &mut slot.vdevs);
        if let Some(vdev) =
            vdevs.and_then(|vdevs| vdevs.iter_mut().rev().find(|vdev| vdev.bdf == bdf))
        {
            vdev.own = own;
        }
    }
}

/// Region names compare as C strings of at most 32 bytes.
fn same_region(configured: &[u8; 32], args: &[u8; 128]) -> bool {
    let asked = args.first_chunk::<32>().copied().unwrap_or_default();
    let end = |name: &[u8; 32]| name.iter().position(|byte| *byte == 0).unwrap_or(32);
    configured.get(..end(configured)) == asked.get(..end(&asked))
}
