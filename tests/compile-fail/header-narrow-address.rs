use hypercall::{Error, Payload, interface};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    pub x: u32,
    pub y: u32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Narrow {
    pub count: u32,
    pub address: u32,
    pub reserved: u64,
}

#[interface]
pub trait Plotter {
    #[call(1, header(Narrow { count: points.len(), address: &points }))]
    fn draw(&self, points: &[Point]) -> Result<(), Error>;
}

fn main() {}
