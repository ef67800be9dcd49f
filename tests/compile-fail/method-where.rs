use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self) -> Result<(), Error>
    where
        Self: Sized;
}

fn main() {}
