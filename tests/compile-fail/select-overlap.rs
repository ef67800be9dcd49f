use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, select(0xff, 3))]
    fn lift(&self, plotter: u16) -> Result<(), Error>;
    #[call(1, select(0xf, 3))]
    fn lower(&self, plotter: u16) -> Result<(), Error>;
}

fn main() {}
