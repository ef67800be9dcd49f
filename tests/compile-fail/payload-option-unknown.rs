use hypercall::Payload;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Payload)]
#[repr(C)]
pub struct Point {
    #[payload(unit = "mm")]
    pub x: u32,
}

fn main() {}
