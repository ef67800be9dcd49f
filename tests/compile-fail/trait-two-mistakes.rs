use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&mut self) -> Result<(), Error>;
    #[call(2)]
    fn lower(&self) -> u8;
}

fn main() {}
