use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn interface(&self) -> Result<(), Error>;
}

fn main() {}
