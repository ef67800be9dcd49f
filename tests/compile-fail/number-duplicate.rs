use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(0x11)]
    fn lift(&self) -> Result<(), Error>;
    #[call(17)]
    fn lower(&self) -> Result<(), Error>;
}

fn main() {}
