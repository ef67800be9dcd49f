use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, select(0xff, 3))]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
