use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self, plotter: impl Into<u16>) -> Result<(), Error>;
}

fn main() {}
