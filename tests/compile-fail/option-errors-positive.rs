use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, errors(-1 = "is it switched on?", 22 = "is the pen down?"))]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
