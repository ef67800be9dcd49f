use hypercall::{Error, Payload, interface, SharedRef};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Header {
    pub count: u64,
    pub address: u64,
}

#[interface]
pub trait Plotter {
    #[call(1, header(Header { count: colour, address: &page }))]
    fn share(&self, colour: u16, page: SharedRef) -> Result<(), Error>;
}

fn main() {}
