//! What a handle holds whatever its state, and what becomes of it when it is dropped.

use core::num::NonZeroU8;

use super::device::Devices;
use super::failed::is_state_known_after;
use crate::acrn::{Hypervisor, PmCommand, VmId};
use crate::{Error, OwnedPage};

/// The part of a handle that is moved whole from state to state, so that it can have a `Drop`.
pub(super) struct Body<H: Hypervisor> {
    pub(super) hypervisor: H,
    id: NonZeroU8,
    /// `None` where it is not known.
    pub(super) vcpus: Option<u16>,
    /// Created by this handle, and no start was ever attempted.
    pub(super) disposable: bool,
    pub(super) page: Option<OwnedPage>,
    pub(super) devices: Devices,
}

/// A transition that stopped on its way: why, and whether the VM's state is still what it was.
pub(super) struct Setback {
    pub(super) error: Error,
    pub(super) known: bool,
}

impl<H: Hypervisor> Body<H> {
    pub(super) const fn new(hypervisor: H, id: NonZeroU8) -> Self {
        Self {
            hypervisor,
            id,
            vcpus: None,
            disposable: false,
            page: None,
            devices: Devices::new(),
        }
    }

    pub(super) const fn id(&self) -> VmId {
        // `u16::from` is not const.
        VmId(self.id.get() as u16)
    }

    /// As an error keeps it.
    pub(super) const fn args(&self) -> [u64; 2] {
        [self.id.get() as u64, 0]
    }

    /// From paused to powered off.
    pub(super) fn power_off(&mut self) -> Result<(), Setback> {
        self.devices
            .give_back(&self.hypervisor, self.id())
            .map_err(|error| Setback { error, known: true })?;
        match self.hypervisor.destroy_vm(self.id()) {
            Ok(()) => {
                self.disposable = false;
                if let Some(page) = &mut self.page {
                    page.reclaim();
                }
                Ok(())
            }
            Err(error) => {
                let known = is_state_known_after(&error);
                if !known {
                    // The id may be another VM's by the time that the handle is dropped.
                    self.disposable = false;
                }
                Err(Setback { error, known })
            }
        }
    }

    fn dispose(&mut self) -> Result<(), Error> {
        // Somebody may have started it by a raw call. Only a VM that is created or paused answers this.
        self.hypervisor.pm_get_cx_count(PmCommand::new(self.id()))?;
        self.hypervisor.pause_vm(self.id())?;
        self.power_off().map_err(|setback| setback.error)
    }
}

impl<H: Hypervisor> Drop for Body<H> {
    fn drop(&mut self) {
        if self.disposable {
            // Nobody is left to tell. The page, dropped next, is leaked unless the VM is gone.
            let _ = self.dispose();
        }
    }
}

/// The ids that a handle can have: not the Service VM's, which some calls accept to the caller's harm, and at most 255,
/// because `PM_GET_CPU_STATE`, by which a state is found, has 8 bits for it. ACRN's ids are below 16.
pub(super) fn handle_id(id: VmId) -> Option<NonZeroU8> {
    u8::try_from(id.0).ok().and_then(NonZeroU8::new)
}
