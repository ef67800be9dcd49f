use hypercall::{Error, interface};

#[interface]
pub trait Plotter<T> {
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
