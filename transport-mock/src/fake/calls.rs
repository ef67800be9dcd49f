//! The interface's trait, on the fake.

use hypercall_core::{
    Error, Gpa, Hazard, Hpa, PageAligned, Rejection, SharedRef, TransportError,
    acrn::{
        AddressSpace, ApiVersion, AsyncIoInfo, CstateData, GenericAddress, GpaToHpa, HwInfo,
        Hypervisor, HypervisorCalls as Calls, IntrMonitor, IrqLine, LapicId, MemoryRegion,
        MmioDevice, MsiEntry, NpkLog, PciDevice, PcpuId, PmCommand, ProfilingCommand, PstateData,
        PtdevIrq, SbufId, TeeBoot, TrustyBootParam, VcpuId, VcpuRegs, Vector, VirtualDevice,
        VmCreation, VmId, WriteProtect,
    },
    call::CallInfo,
};

use super::{
    FakeAcrn,
    answer::{Answer, EINVAL, ENOTTY, Fail, REFUSED},
    lifecycle::{Created, Wanted},
    machine::{Machine, VHWP},
    vm::{Registers, VmState},
};

type Call = &'static CallInfo;

impl FakeAcrn {
    /// Does the work of a call that is the Service VM's.
    fn make<T>(
        &self,
        call: Call,
        args: [u64; 2],
        work: impl FnOnce(&mut Machine) -> Answer<T>,
    ) -> Result<T, Error> {
        self.make_own(call, args, |machine, caller| {
            if caller == machine.service {
                work(machine)
            } else {
                Err(ENOTTY)
            }
        })
    }

    /// Does a call's work, unless the machine is down.
    fn make_own<T>(
        &self,
        call: Call,
        args: [u64; 2],
        work: impl FnOnce(&mut Machine, u16) -> Answer<T>,
    ) -> Result<T, Error> {
        let mut machine = self.lock();
        machine.progress();
        let caller = self.caller_slot(&machine);
        let outcome = match machine.dead {
            Some(hazard) => Err(Fail::Dead(hazard)),
            None => work(&mut machine, caller),
        };
        outcome.map_err(|fail| match fail {
            Fail::Code(code) => Error::refused(call, args, code),
            Fail::Dead(hazard) => died(&mut machine, call, args, hazard),
        })
    }

    /// As [`make`](Self::make), with the slot that a relative id means.
    fn with_vm<T>(
        &self,
        call: Call,
        vm: VmId,
        second: u64,
        work: impl FnOnce(&mut Machine, u16) -> Answer<T>,
    ) -> Result<T, Error> {
        self.make(call, [u64::from(vm.0), second], |machine| {
            let number = machine.target(vm.0)?;
            work(machine, number)
        })
    }

    /// The guest address of memory that a call hands over.
    fn shared(&self, call: Call, args: [u64; 2], memory: SharedRef) -> Result<Gpa, Error> {
        const FULL: TransportError = TransportError::Unsupported(
            "the fake's RAM has no room to mount the shared pages; mount them by hand",
        );
        match memory {
            SharedRef::Address(gpa) => Ok(gpa),
            SharedRef::Pages(pages) => {
                let mounted = self.lock().mount_anywhere(pages).map(Gpa);
                mounted.ok_or_else(|| Error::transport(call, args, FULL))
            }
        }
    }

    /// CREATE_VM: in the slot that the name picks, or in a given one.
    pub(super) fn create(
        &self,
        creation: &mut VmCreation,
        target: Option<VmId>,
    ) -> Result<VmId, Error> {
        let wanted = Wanted {
            name: creation.name.0,
            flags: creation.flags.bits(),
            affinity: creation.cpu_affinity.0,
        };
        let created = self.make(Calls::CREATE_VM, [0; 2], |machine| {
            let number = match target {
                Some(vm) => machine.target(vm.0)?,
                None => {
                    let number = machine.slot_for(&wanted)?;
                    machine.target(number.wrapping_sub(machine.service))?
                }
            };
            machine.create_in(number, &wanted)
        })?;
        match created {
            Created::Vm { id, vcpus } => {
                creation.vmid = VmId(id);
                creation.vcpu_num = vcpus;
                Ok(VmId(id))
            }
            Created::Failed => {
                creation.vmid = VmId::INVALID;
                let how = Rejection("vmid is 0xffff: creation failed after the checks");
                Err(Error::rejected(Calls::CREATE_VM, [0; 2], how))
            }
        }
    }

    /// A PM command's target must be created or paused.
    fn with_idle_vm<T>(
        &self,
        call: Call,
        command: PmCommand,
        work: impl FnOnce(&mut Machine, u16) -> Answer<T>,
    ) -> Result<T, Error> {
        self.make(call, [command.0, 0], |machine| {
            let number = machine.target(command.vm().0)?;
            match machine.slot(number).map(|slot| slot.state) {
                Some(VmState::Created | VmState::Paused) => work(machine, number),
                _ => Err(REFUSED),
            }
        })
    }
}

fn died(machine: &mut Machine, call: Call, args: [u64; 2], hazard: Hazard) -> Error {
    machine.dead = Some(hazard);
    Error::transport(call, args, TransportError::Dead(hazard))
}

impl Hypervisor for FakeAcrn {
    fn get_api_version(&self) -> Result<ApiVersion, Error> {
        self.make(Calls::GET_API_VERSION, [0; 2], |_| Ok(ApiVersion::KNOWN))
    }

    fn service_vm_offline_cpu(&self, lapic: LapicId) -> Result<(), Error> {
        self.make(
            Calls::SERVICE_VM_OFFLINE_CPU,
            [u64::from(lapic.0), 0],
            |machine| machine.offline_cpu(lapic.0),
        )
    }

    fn set_callback_vector(&self, vector: Vector) -> Result<(), Error> {
        self.make(Calls::SET_CALLBACK_VECTOR, [vector.0, 0], |machine| {
            // All 64 bits count (ACRN hcall_set_callback_vector).
            match u8::try_from(vector.0) {
                Ok(number @ 0x20..) => {
                    machine.upcall_vector = u32::from(number);
                    Ok(())
                }
                _ => Err(EINVAL),
            }
        })
    }

    fn create_vm(&self, creation: &mut VmCreation) -> Result<VmId, Error> {
        self.create(creation, None)
    }

    fn destroy_vm(&self, vm: VmId) -> Result<(), Error> {
        self.with_vm(Calls::DESTROY_VM, vm, 0, Machine::destroy)
    }

    fn start_vm(&self, vm: VmId) -> Result<(), Error> {
        self.with_vm(Calls::START_VM, vm, 0, Machine::start)
    }

    fn pause_vm(&self, vm: VmId) -> Result<(), Error> {
        self.with_vm(Calls::PAUSE_VM, vm, 0, Machine::pause)
    }

    fn create_vcpu(&self, vm: VmId) -> Result<(), Error> {
        self.with_vm(Calls::CREATE_VCPU, vm, 0, |_, _| Ok(()))
    }

    fn reset_vm(&self, vm: VmId) -> Result<(), Error> {
        self.with_vm(Calls::RESET_VM, vm, 0, Machine::reset)
    }

    fn set_vcpu_regs(&self, vm: VmId, regs: &VcpuRegs) -> Result<(), Error> {
        let registers = Registers {
            rip: regs.regs.rip,
            cr0: regs.regs.cr0.bits(),
            cr4: regs.regs.cr4,
        };
        self.with_vm(Calls::SET_VCPU_REGS, vm, 0, |machine, number| {
            machine.set_vcpu_regs(number, regs.vcpu_id.0, registers)
        })
    }

    fn inject_msi(&self, vm: VmId, msi: &MsiEntry) -> Result<(), Error> {
        self.with_vm(Calls::INJECT_MSI, vm, 0, |machine, number| {
            machine.inject_msi(number, msi.address.0, msi.data.0)
        })
    }

    fn vm_intr_monitor(
        &self,
        vm: VmId,
        monitor: &mut PageAligned<IntrMonitor>,
    ) -> Result<(), Error> {
        self.with_vm(Calls::VM_INTR_MONITOR, vm, 0, |machine, number| {
            machine.monitor(number, &mut monitor.0)
        })
    }

    fn set_irqline(&self, vm: VmId, line: IrqLine) -> Result<(), Error> {
        let second = hypercall_core::Value::to_register(line);
        self.with_vm(Calls::SET_IRQLINE, vm, second, |machine, number| {
            machine.set_line(number, line.gsi.0, line.op.0)
        })
    }

    fn set_ioreq_buffer(&self, vm: VmId, page: SharedRef) -> Result<(), Error> {
        let call = Calls::SET_IOREQ_BUFFER;
        let gpa = self.shared(call, [u64::from(vm.0), 0], page)?;
        self.with_vm(call, vm, 0, |machine, number| {
            machine.set_request_page(number, gpa.0)
        })
    }

    fn notify_request_finish(&self, vm: VmId, vcpu: VcpuId) -> Result<(), Error> {
        self.with_vm(
            Calls::NOTIFY_REQUEST_FINISH,
            vm,
            u64::from(vcpu.0),
            |machine, number| machine.notify(number, vcpu.0),
        )
    }

    fn asyncio_assign(&self, vm: VmId, info: &AsyncIoInfo) -> Result<(), Error> {
        self.with_vm(Calls::ASYNCIO_ASSIGN, vm, 0, |machine, number| {
            machine.assign_asyncio(number, info)
        })
    }

    fn asyncio_deassign(&self, vm: VmId, info: &AsyncIoInfo) -> Result<(), Error> {
        self.with_vm(Calls::ASYNCIO_DEASSIGN, vm, 0, |machine, number| {
            machine.deassign_asyncio(number, info)
        })
    }

    fn vm_gpa2hpa(&self, vm: VmId, translation: &mut GpaToHpa) -> Result<Hpa, Error> {
        let gpa = translation.gpa.0;
        let hpa = self.with_vm(Calls::VM_GPA2HPA, vm, 0, |machine, number| {
            machine.gpa_to_hpa(number, gpa)
        })?;
        translation.hpa = Hpa(hpa);
        Ok(Hpa(hpa))
    }

    fn set_memory_regions(&self, vm: VmId, regions: &[MemoryRegion]) -> Result<(), Error> {
        self.make(Calls::SET_MEMORY_REGIONS, [0; 2], |machine| {
            let number = machine.target(vm.0)?;
            if regions.is_empty() {
                return machine.set_region(number, None);
            }
            regions
                .iter()
                .try_for_each(|region| machine.set_region(number, Some(region)))
        })
    }

    fn write_protect_page(&self, vm: VmId, page: &WriteProtect) -> Result<(), Error> {
        self.with_vm(Calls::WRITE_PROTECT_PAGE, vm, 0, |machine, number| {
            machine.write_protect(number, page.gpa.0, page.set != 0)
        })
    }

    fn setup_sbuf(
        &self,
        vm: VmId,
        pcpu: PcpuId,
        id: SbufId,
        buffer: SharedRef,
    ) -> Result<(), Error> {
        let call = Calls::SETUP_SBUF;
        let gpa = self.shared(call, [u64::from(vm.0), 0], buffer)?;
        self.with_vm(call, vm, 0, |machine, number| {
            machine.setup_sbuf(number, pcpu.0, id.0, gpa.0)
        })
    }

    fn set_ptdev_intr_info(&self, vm: VmId, irq: &PtdevIrq) -> Result<(), Error> {
        self.with_vm(Calls::SET_PTDEV_INTR_INFO, vm, 0, |machine, number| {
            machine.set_ptdev_line(number, irq)
        })
    }

    fn reset_ptdev_intr_info(&self, vm: VmId, irq: &PtdevIrq) -> Result<(), Error> {
        self.with_vm(Calls::RESET_PTDEV_INTR_INFO, vm, 0, |machine, number| {
            machine.reset_ptdev_line(number, irq)
        })
    }

    fn assign_pcidev(&self, vm: VmId, device: &PciDevice) -> Result<(), Error> {
        self.with_vm(Calls::ASSIGN_PCIDEV, vm, 0, |machine, number| {
            machine.assign_pci(number, device)
        })
    }

    fn deassign_pcidev(&self, vm: VmId, device: &PciDevice) -> Result<(), Error> {
        self.with_vm(Calls::DEASSIGN_PCIDEV, vm, 0, |machine, number| {
            machine.deassign_pci(number, device)
        })
    }

    fn assign_mmiodev(&self, vm: VmId, device: &MmioDevice) -> Result<(), Error> {
        self.with_vm(Calls::ASSIGN_MMIODEV, vm, 0, |machine, number| {
            machine.move_mmio(number, device, true)
        })
    }

    fn deassign_mmiodev(&self, vm: VmId, device: &MmioDevice) -> Result<(), Error> {
        self.with_vm(Calls::DEASSIGN_MMIODEV, vm, 0, |machine, number| {
            machine.move_mmio(number, device, false)
        })
    }

    fn add_vdev(&self, vm: VmId, device: &VirtualDevice) -> Result<(), Error> {
        self.with_vm(Calls::ADD_VDEV, vm, 0, |machine, number| {
            machine.add_vdev(number, device)
        })
    }

    fn remove_vdev(&self, vm: VmId, device: &VirtualDevice) -> Result<(), Error> {
        self.with_vm(Calls::REMOVE_VDEV, vm, 0, |machine, number| {
            machine.remove_vdev(number, device)
        })
    }

    fn setup_hv_npk_log(&self, log: &mut NpkLog) -> Result<(), Error> {
        self.make(Calls::SETUP_HV_NPK_LOG, [0; 2], |machine| {
            machine.npk_log(log)
        })
    }

    fn profiling_ops(&self, command: ProfilingCommand, buffer: &mut [u8]) -> Result<(), Error> {
        self.make(Calls::PROFILING_OPS, [command.0, 0], |machine| {
            machine.profiling(command, buffer)
        })
    }

    fn get_hw_info(&self) -> Result<HwInfo, Error> {
        self.make(Calls::GET_HW_INFO, [0; 2], |machine| {
            machine.debug_only()?;
            Ok(HwInfo::new(machine.config.pcpus))
        })
    }

    fn initialize_trusty(&self, param: &TrustyBootParam) -> Result<(), Error> {
        self.make_own(Calls::INITIALIZE_TRUSTY, [0; 2], |machine, caller| {
            machine.initialize_trusty(caller, param)
        })
    }

    fn save_restore_sworld_ctx(&self) -> Result<(), Error> {
        self.make_own(
            Calls::SAVE_RESTORE_SWORLD_CTX,
            [0; 2],
            Machine::save_restore_trusty,
        )
    }

    fn pm_get_px_count(&self, command: PmCommand) -> Result<u8, Error> {
        self.with_idle_vm(Calls::PM_GET_PX_COUNT, command, |machine, number| {
            let slot = machine.slot(number).ok_or(ENOTTY)?;
            // With a virtual HWP there are no discrete states; without, they are not passed through.
            if machine.config_of(slot).flags & VHWP != 0 {
                Ok(0)
            } else {
                Err(REFUSED)
            }
        })
    }

    fn pm_get_px_data(&self, command: PmCommand) -> Result<PstateData, Error> {
        self.with_idle_vm(Calls::PM_GET_PX_DATA, command, |_, _| Err(REFUSED))
    }

    fn pm_get_cx_count(&self, command: PmCommand) -> Result<u8, Error> {
        self.with_idle_vm(Calls::PM_GET_CX_COUNT, command, |machine, _| {
            u8::try_from(machine.config.cstates.len()).map_err(|_| REFUSED)
        })
    }

    fn pm_get_cx_data(&self, command: PmCommand) -> Result<CstateData, Error> {
        self.with_idle_vm(Calls::PM_GET_CX_DATA, command, |machine, _| {
            // States are counted from 1 (ACRN hcall_get_cpu_pm_state).
            let at = usize::from(command.state()).checked_sub(1).ok_or(REFUSED)?;
            let state = machine.config.cstates.get(at).ok_or(REFUSED)?;
            let mut register =
                GenericAddress::new(AddressSpace(state.space), state.width, state.address);
            register.bit_offset = state.offset;
            register.access_size = state.access;
            Ok(CstateData {
                cx_reg: register,
                kind: state.kind,
                latency: state.latency,
                power: state.power,
                ..CstateData::default()
            })
        })
    }

    fn tee_vcpu_boot_done(&self, start: TeeBoot) -> Result<(), Error> {
        self.make_own(
            Calls::TEE_VCPU_BOOT_DONE,
            [start.0, 0],
            Machine::tee_boot_done,
        )
    }
}
