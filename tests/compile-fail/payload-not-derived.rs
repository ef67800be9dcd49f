use hypercall::Payload;

#[derive(Payload)]
#[repr(C)]
pub struct Point {
    pub x: u32,
}

fn main() {}
