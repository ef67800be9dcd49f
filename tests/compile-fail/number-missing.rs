use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
