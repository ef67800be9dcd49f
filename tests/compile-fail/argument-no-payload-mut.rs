use hypercall::{Error, interface};

pub struct Point {
    pub x: u32,
}

#[interface]
pub trait Plotter {
    #[call(1)]
    fn mirror(&self, point: &mut Point) -> Result<(), Error>;
}

fn main() {}
