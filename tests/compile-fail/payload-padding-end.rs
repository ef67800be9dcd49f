use hypercall::Payload;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    pub x: u32,
    pub y: u16,
}

fn main() {}
