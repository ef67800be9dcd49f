use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    #[call(2)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
