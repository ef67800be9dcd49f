use hypercall::Payload;

#[derive(Payload)]
#[repr(u32)]
pub enum Pen {
    Up,
    Down,
}

fn main() {}
