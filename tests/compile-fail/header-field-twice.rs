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
pub struct Header {
    pub count: u64,
    pub address: u64,
}

#[interface]
pub trait Plotter {
    #[call(1, header(Header { count: points.len(), address: &points, count: colour }))]
    fn draw(&self, points: &[Point], colour: u64) -> Result<(), Error>;
}

fn main() {}
