use hypercall::{Error, interface};

#[interface(name = "plotter")]
pub trait Plotter {
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
