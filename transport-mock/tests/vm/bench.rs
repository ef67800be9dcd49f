//! A machine with a wire to it that can be cut, and VMs in each state.

use hypercall_core::acrn::server::AcrnServer;
use hypercall_core::acrn::vm::{Created, NoPage, Paused, Running, Vm};
use hypercall_core::acrn::{PcpuSet, VmCreation, VmFlags, VmName};
use hypercall_core::arg::Arg;
use hypercall_core::call::CallInfo;
use hypercall_core::{Client, Gpa, LayerRefusal, OwnedPage, PageCell, Transport, TransportError};
use hypercall_mock::fake::{FakeAcrn, FakeConfig, VmConfig};
use hypercall_mock::loopback::Loopback;
use std::cell::RefCell;

pub(crate) const CPU: PcpuSet = PcpuSet(1);
pub(crate) const LOST: TransportError = TransportError::Lost("by the test");

/// What goes wrong with the next call of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing is issued, and the caller knows.
    Vetoed,
    /// Nothing is issued; this is the answer.
    Answer(i64),
    /// It is not issued, and the caller does not know.
    LostBefore,
    /// It is issued, and the caller does not know.
    LostAfter,
    /// It is issued; this is the answer.
    AnswerAfter(i64),
}

/// A machine, with a wire to it that can be cut, and a list of what went over the wire.
pub(crate) struct Wire<'f> {
    inner: Loopback<AcrnServer<&'f FakeAcrn>, &'f FakeAcrn>,
    faults: RefCell<Vec<(&'static str, Fault)>>,
    issued: RefCell<Vec<&'static str>>,
}

impl Transport for Wire<'_> {
    fn call<'a>(&self, info: &'static CallInfo, args: [Arg<'a>; 2]) -> Result<i64, TransportError> {
        let mut faults = self.faults.borrow_mut();
        let fault = faults
            .iter()
            .position(|(name, _)| *name == info.name)
            .map(|at| faults.remove(at).1);
        drop(faults);
        match fault {
            Some(Fault::Vetoed) => {
                return Err(TransportError::Layer(LayerRefusal {
                    layer: "test",
                    reason: "vetoed",
                }));
            }
            Some(Fault::Answer(rax)) => return Ok(rax),
            Some(Fault::LostBefore) => return Err(LOST),
            _ => {}
        }
        self.issued.borrow_mut().push(info.name);
        let answer = self.inner.call(info, args);
        match fault {
            Some(Fault::LostAfter) => Err(LOST),
            Some(Fault::AnswerAfter(rax)) => Ok(rax),
            _ => answer,
        }
    }
}

pub(crate) type Bench<'f> = Client<Wire<'f>>;

pub(crate) fn bench(fake: &FakeAcrn) -> Bench<'_> {
    Client::new(Wire {
        inner: Loopback::new(AcrnServer::new(fake), fake, Gpa(0x100_0000), 0x1_0000),
        faults: RefCell::default(),
        issued: RefCell::default(),
    })
}

pub(crate) trait Break {
    fn break_next(&self, call: &'static str, fault: Fault);
    fn issued(&self) -> Vec<&'static str>;
}

impl Break for Bench<'_> {
    fn break_next(&self, call: &'static str, fault: Fault) {
        self.transport().faults.borrow_mut().push((call, fault));
    }

    /// What was issued since this was last asked.
    fn issued(&self) -> Vec<&'static str> {
        self.transport().issued.take()
    }
}

/// A page of its own for each test.
pub(crate) fn cell() -> &'static PageCell {
    Box::leak(Box::default())
}

pub(crate) fn page() -> OwnedPage {
    cell().take().unwrap()
}

pub(crate) fn creation() -> VmCreation {
    VmCreation::new(VmName::new("demo").unwrap()).with_cpu_affinity(CPU)
}

pub(crate) fn created<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Created, NoPage> {
    Vm::create(hypervisor, &creation(), CPU).unwrap()
}

pub(crate) fn ready<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Created> {
    created(hypervisor).set_request_page(page()).unwrap()
}

pub(crate) fn running<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Running> {
    ready(hypervisor).start().unwrap()
}

pub(crate) fn paused<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Paused> {
    running(hypervisor).pause().unwrap()
}

/// A machine whose VM `RT` is of a higher severity than the Service VM.
pub(crate) fn with_real_time_vm() -> FakeAcrn {
    let mut config = FakeConfig::default();
    config.vms.push(VmConfig {
        severity: 0x30,
        ..VmConfig::user_vm("RT", 1)
    });
    FakeAcrn::with_config(config)
}

pub(crate) fn real_time<'h, 'f>(hypervisor: &'h Bench<'f>) -> Vm<&'h Bench<'f>, Running> {
    let creation = VmCreation::new(VmName::new("RT").unwrap()).with_flags(VmFlags::RT);
    let vm = Vm::create(hypervisor, &creation, CPU).unwrap();
    vm.set_request_page(page()).unwrap().start().unwrap()
}
