use hypercall::{Error, interface};

pub struct Point {
    pub x: u32,
}

#[interface]
pub trait Plotter {
    #[call(1)]
    fn move_to(&self, plotter: u16, to: &Point) -> Result<(), Error>;
}

fn main() {}
