use hypercall::Payload;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    pub x: u32,
    pub up: bool,
    pub reserved: [u8; 3],
}

fn main() {}
