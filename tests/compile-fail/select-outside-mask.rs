use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, select(0xf, 0x10))]
    fn lift(&self, plotter: u16) -> Result<(), Error>;
}

fn main() {}
