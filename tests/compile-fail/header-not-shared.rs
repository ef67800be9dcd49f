use hypercall::{Error, Payload, interface};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Header {
    pub count: u64,
    pub address: u64,
}

#[interface]
pub trait Plotter {
    #[call(1, header(Header { address: &page }))]
    fn share(&self, page: u64) -> Result<(), Error>;
}

fn main() {}
