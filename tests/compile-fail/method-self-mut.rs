use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&mut self) -> Result<(), Error>;
}

fn main() {}
