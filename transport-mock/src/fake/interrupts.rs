//! Interrupts: injected ones, and the lines of passed-through devices.
//!
//! Rules: ACRN `hcall_inject_msi`, `hcall_set_irqline`, `hcall_vm_intr_monitor`, `hcall_set_ptdev_intr_info`,
//! `hcall_reset_ptdev_intr_info` (common/hypercall.c), `vlapic_inject_msi`, `inject_msi_for_non_lapic_pt`
//! (arch/x86/guest/vlapic.c), `get_vm_gsicount` (dm/vioapic.c), `add_intx_remapping`, `remove_intx_remapping`
//! (arch/x86/guest/assign.c), `ptirq_get_intr_data` (common/ptdev.c).

use hypercall_core::acrn::{IntrMonitor, IntrMonitorCommand, PtdevIrq, PtdevIrqKind};

use super::{
    answer::{Answer, EINVAL, ENODEV, ENOTTY, REFUSED, crash},
    machine::{LAPIC_PASSTHROUGH, Machine},
    vm::{ApicMode, Injection, VmState},
};

/// Lines of a User VM's virtual I/O APIC (`VIOAPIC_RTE_NUM`).
const USER_VM_LINES: u32 = 48;
/// Lines of the virtual 8259 pair (`NR_VPIC_PINS_TOTAL`).
const PIC_LINES: u32 = 16;
/// `CONFIG_MAX_PT_IRQ_ENTRIES`.
const MAX_LINES: usize = 256;

/// An interrupt line of the machine that a VM gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassedLine {
    pub(crate) vm: u16,
    pub(crate) virtual_gsi: u32,
    pub(crate) pic: bool,
    pub(crate) physical_gsi: u32,
    /// Interrupts so far.
    pub(crate) count: u64,
}

impl Machine {
    pub(crate) fn inject_msi(&mut self, number: u16, address: u64, data: u64) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if !self.in_reach(slot) || slot.state == VmState::PoweredOff {
            return Err(REFUSED);
        }
        if self.config_of(slot).flags & LAPIC_PASSTHROUGH != 0 {
            match slot.apic {
                ApicMode::Disabled => return Err(REFUSED),
                // Goes out as an inter-processor interrupt, whatever the address.
                ApicMode::X2Apic => return self.injected(number, Injection::Msi { address, data }),
                ApicMode::XApic => {}
            }
        }
        if (address >> 20) & 0xfff != 0xfee {
            return Err(REFUSED);
        }
        self.injected(number, Injection::Msi { address, data })
    }

    pub(crate) fn set_line(&mut self, number: u16, gsi: u32, op: u32) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if !self.in_reach(slot)
            || slot.state == VmState::PoweredOff
            || gsi >= self.gsi_count(number)
        {
            return Err(REFUSED);
        }
        self.injected(number, Injection::Line { gsi, op })
    }

    fn injected(&mut self, number: u16, injection: Injection) -> Answer {
        self.slot_mut(number).ok_or(ENOTTY)?.inject(injection);
        Ok(())
    }

    const fn gsi_count(&self, number: u16) -> u32 {
        if number == self.service {
            self.config.ioapic_lines
        } else {
            USER_VM_LINES
        }
    }

    pub(crate) fn monitor(&mut self, number: u16, monitor: &mut IntrMonitor) -> Answer {
        let slot = self.slot_mut(number).ok_or(ENOTTY)?;
        if slot.state == VmState::PoweredOff || monitor.buf_cnt > IntrMonitor::WORDS {
            return Err(EINVAL);
        }
        match monitor.command {
            IntrMonitorCommand::GET_DATA => {
                // The room is checked after each pair, with an unsigned difference: less than 2 is no limit.
                let limit = monitor.buf_cnt.wrapping_sub(2);
                let mut used = 0_u32;
                let own = self.lines.iter().filter(|line| line.vm == number);
                for (pair, line) in monitor.buffer.as_chunks_mut::<2>().0.iter_mut().zip(own) {
                    *pair = [u64::from(line.physical_gsi), line.count];
                    used = used.wrapping_add(2);
                    if used > limit {
                        break;
                    }
                }
                monitor.buf_cnt = used;
                Ok(())
            }
            IntrMonitorCommand::DELAY_INT => {
                slot.interrupt_delay = monitor.buffer.first().copied().unwrap_or(0);
                Ok(())
            }
            _ => Err(EINVAL),
        }
    }

    pub(crate) fn set_ptdev_line(&mut self, number: u16, irq: &PtdevIrq) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if slot.state != VmState::Created {
            return Err(REFUSED);
        }
        self.check_ptdev(number, irq)?;
        if irq.intx.phys_pin >= self.config.ioapic_lines {
            return Err(REFUSED);
        }
        let service = self.service;
        let gsi = irq.intx.phys_pin;
        self.lines
            .retain(|line| !(line.vm == service && line.physical_gsi == gsi));
        self.pass_line(number, irq.intx.virt_pin, gsi, irq.intx.pic_pin != 0)
    }

    pub(crate) fn reset_ptdev_line(&mut self, number: u16, irq: &PtdevIrq) -> Answer {
        let slot = self.slot(number).ok_or(ENOTTY)?;
        if !matches!(slot.state, VmState::Created | VmState::Paused) {
            return Err(REFUSED);
        }
        self.check_ptdev(number, irq)?;
        self.release_line(number, irq.intx.virt_pin, irq.intx.pic_pin != 0);
        Ok(())
    }

    /// The device must be there, at the place that is named, and the virtual line must exist.
    fn check_ptdev(&self, number: u16, irq: &PtdevIrq) -> Answer {
        if irq.kind != PtdevIrqKind::INTX {
            return Err(REFUSED);
        }
        let vdev = self.find_vdev(number, irq.virt_bdf.0).ok_or(REFUSED)?;
        let Some(physical) = vdev.physical else {
            return Err(crash(
                "SET/RESET_PTDEV_INTR_INFO of a device that is emulated follows a null pointer (ACRN hcall_set_ptdev_intr_info)",
            ));
        };
        let lines = if irq.intx.pic_pin == 0 {
            self.gsi_count(number)
        } else {
            PIC_LINES
        };
        if physical != irq.phys_bdf.0 || irq.intx.virt_pin >= lines {
            return Err(REFUSED);
        }
        Ok(())
    }

    /// Gives a VM a line, unless another has it or the virtual line is taken.
    pub(crate) fn pass_line(
        &mut self,
        vm: u16,
        virtual_gsi: u32,
        physical_gsi: u32,
        pic: bool,
    ) -> Answer {
        if let Some(line) = self
            .lines
            .iter()
            .find(|line| line.physical_gsi == physical_gsi)
        {
            return if line.vm == vm { Ok(()) } else { Err(ENODEV) };
        }
        let taken = self
            .lines
            .iter()
            .any(|line| line.vm == vm && line.virtual_gsi == virtual_gsi && line.pic == pic);
        if taken || self.lines.len() >= MAX_LINES {
            return Err(ENODEV);
        }
        self.lines.push(PassedLine {
            vm,
            virtual_gsi,
            pic,
            physical_gsi,
            count: 0,
        });
        Ok(())
    }

    fn release_line(&mut self, vm: u16, virtual_gsi: u32, pic: bool) {
        self.lines
            .retain(|line| !(line.vm == vm && line.virtual_gsi == virtual_gsi && line.pic == pic));
    }

    pub(crate) fn release_configured_lines(&mut self, number: u16) {
        let lines = self.slot(number).map(|slot| slot.config.lines.clone());
        for (virtual_gsi, _) in lines.unwrap_or_default() {
            self.release_line(number, virtual_gsi, false);
        }
    }

    /// A passed-through line fires. `false` where no VM has it.
    pub(crate) fn fire_line(&mut self, physical_gsi: u32) -> bool {
        let line = self
            .lines
            .iter_mut()
            .find(|line| line.physical_gsi == physical_gsi);
        line.map(|line| line.count = line.count.saturating_add(1))
            .is_some()
    }
}
