use hypercall::Payload;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Pen {
    Up,
    Down,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    pub pen: Pen,
    pub x: u32,
}

fn main() {}
