//! The checked handle, over the whole way to a working ACRN: a VM's ordinary life, every transition that fails, and the
//! way back from an answer that was lost.

mod bench;
mod creation;
mod device;
mod dropped;
mod failures;
mod life;
mod memory;
mod page;
mod request;
mod severity;
mod shown;
mod state;
