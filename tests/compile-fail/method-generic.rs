use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift<T>(&self, plotter: T) -> Result<(), Error>;
}

fn main() {}
