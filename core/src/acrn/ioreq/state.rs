//! Where a request stands.

use crate::open_enum;

open_enum! {
    /// Where a request stands. The only word of a slot that both sides write.
    #[doc(alias = "processed")]
    pub struct IoReqState(u32) {
        /// A request waits for the Service VM.
        #[doc(alias = "ACRN_IOREQ_STATE_PENDING")]
        PENDING = 0,
        /// The Service VM is done with it.
        #[doc(alias = "ACRN_IOREQ_STATE_COMPLETE")]
        COMPLETE = 1,
        /// The Service VM works on it.
        #[doc(alias = "ACRN_IOREQ_STATE_PROCESSING")]
        PROCESSING = 2,
        /// There is no request.
        #[doc(alias = "ACRN_IOREQ_STATE_FREE")]
        FREE = 3,
    }
}
