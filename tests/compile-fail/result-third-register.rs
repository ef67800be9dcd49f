use hypercall::{Error, Payload, interface};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    pub x: u32,
    pub y: u32,
}

#[interface]
pub trait Plotter {
    #[call(1)]
    fn point(&self, plotter: u16, index: u32) -> Result<Point, Error>;
}

fn main() {}
