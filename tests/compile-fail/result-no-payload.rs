use hypercall::{Error, interface};

pub struct Point {
    pub x: u32,
}

#[interface]
pub trait Plotter {
    #[call(1)]
    fn point(&self) -> Result<Point, Error>;
}

fn main() {}
