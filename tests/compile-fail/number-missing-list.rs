use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
