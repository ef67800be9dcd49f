use hypercall::{Error, interface};

#[derive(Clone, Copy, Debug)]
pub struct Point {
    pub x: u32,
}

#[interface]
pub trait Plotter {
    #[call(1, result = rax)]
    fn point(&self) -> Result<Point, Error>;
}

fn main() {}
