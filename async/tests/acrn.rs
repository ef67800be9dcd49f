//! The async twin of ACRN's interface, over a mock of the blocking one.

use std::num::NonZeroUsize;
use std::sync::Arc;

use hypercall_async::{AsyncHypervisor, Offload};
use hypercall_core::acrn::{HypervisorCalls, ProfilingCommand, VmCreation, VmId};
use hypercall_core::{Error, SharedPage, SharedRef};
use hypercall_mock::MockHypervisor;

static REQUESTS: SharedPage = SharedPage::new();

async fn boot(hypervisor: &dyn AsyncHypervisor) -> (Result<VmId, Error>, VmCreation) {
    let (created, creation) = hypervisor.create_vm(VmCreation::default()).await;
    let Ok(vm) = created else {
        return (created, creation);
    };
    let result = hypervisor.set_ioreq_buffer(vm, (&REQUESTS).into()).await;
    (result.map(|()| vm), creation)
}

#[test]
fn a_mock_runs_behind_the_twin() {
    let mut mock = MockHypervisor::new();
    mock.expect_create_vm().times(1).returning(|creation| {
        creation.vmid = VmId(3);
        Ok(VmId(3))
    });
    mock.expect_set_ioreq_buffer()
        .withf(|vm, page| *vm == VmId(3) && *page == SharedRef::from(&REQUESTS))
        .times(1)
        .returning(|_, _| Ok(()));
    mock.expect_profiling_ops().returning(|_, buffer| {
        buffer.reverse();
        Ok(())
    });
    mock.expect_start_vm().returning(|vm| {
        Err(Error::refused(
            HypervisorCalls::START_VM,
            [vm.0.into(), 0],
            -1,
        ))
    });

    let hypervisor: Arc<dyn AsyncHypervisor> = Arc::new(Offload::new(mock, NonZeroUsize::MIN));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (vm, creation) = boot(&*hypervisor).await;
        assert_eq!((vm, creation.vmid), (Ok(VmId(3)), VmId(3)));
        let (result, bytes) = hypervisor
            .profiling_ops(ProfilingCommand(0), vec![1, 2, 3])
            .await;
        assert_eq!((result, bytes), (Ok(()), vec![3, 2, 1]));
        assert_eq!(
            hypervisor.start_vm(VmId(3)).await.unwrap_err().code(),
            Some(-1)
        );
    });
}
