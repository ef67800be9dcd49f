//! What must not compile: each wrong program beside the right one.
//!
//! Starting twice:
//! ```
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn once<H: Hypervisor>(vm: Vm<H, Created>) -> Result<(), Error> {
//!     let vm = vm.start()?;
//!     vm.detach();
//!     Ok(())
//! }
//! ```
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn twice<H: Hypervisor>(vm: Vm<H, Created>) -> Result<(), Error> {
//!     let vm = vm.start()?;
//!     vm.start()?;
//!     Ok(())
//! }
//! ```
//! Starting with the handle that was used up:
//! ```compile_fail,E0382
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn stale<H: Hypervisor>(vm: Vm<H, Created>) -> Result<(), Error> {
//!     let running = vm.start()?;
//!     vm.start()?;
//!     Ok(())
//! }
//! ```
//! Starting without a request page:
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn without_page<H: Hypervisor>(vm: Vm<H, Created, NoPage>) -> Result<(), Error> {
//!     vm.start()?;
//!     Ok(())
//! }
//! ```
//! Registers are set while the VM is stopped:
//! ```
//! # use hypercall_core::{Error, acrn::{Hypervisor, VcpuRegs, vm::*}};
//! fn stopped<H: Hypervisor>(vm: &Vm<H, Paused>, regs: &VcpuRegs) -> Result<(), Error> {
//!     vm.set_vcpu_regs(regs)
//! }
//! ```
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, VcpuRegs, vm::*}};
//! fn running<H: Hypervisor>(vm: &Vm<H, Running>, regs: &VcpuRegs) -> Result<(), Error> {
//!     vm.set_vcpu_regs(regs)
//! }
//! ```
//! A running VM is neither destroyed nor reset:
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn destroy<H: Hypervisor>(vm: Vm<H, Running>) -> Result<(), Error> {
//!     vm.destroy()?;
//!     Ok(())
//! }
//! ```
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn reset<H: Hypervisor>(vm: Vm<H, Running>) -> Result<(), Error> {
//!     vm.reset()?;
//!     Ok(())
//! }
//! ```
//! Devices are assigned before the start:
//! ```compile_fail,E0599
//! # use hypercall_core::{Error, acrn::{Hypervisor, PciDevice, vm::*}};
//! fn late<H: Hypervisor>(vm: &mut Vm<H, Running>, device: &PciDevice) -> Result<(), Error> {
//!     vm.assign_pci(device)
//! }
//! ```
//! No state changes while a request is being served:
//! ```
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn after<H: Hypervisor>(vm: Vm<H, Running>) -> Result<(), Error> {
//!     let pending = vm.requests().claim();
//!     drop(pending);
//!     vm.pause()?.detach();
//!     Ok(())
//! }
//! ```
//! ```compile_fail,E0505
//! # use hypercall_core::{Error, acrn::{Hypervisor, vm::*}};
//! fn meanwhile<H: Hypervisor>(vm: Vm<H, Running>) -> Result<(), Error> {
//!     let pending = vm.requests().claim();
//!     vm.pause()?.detach();
//!     drop(pending);
//!     Ok(())
//! }
//! ```
//! A program cannot make a state of its own:
//! ```compile_fail,E0277
//! # use hypercall_core::acrn::{Hypervisor, vm::*};
//! enum Suspended {}
//! impl Stopped for Suspended {}
//! ```
