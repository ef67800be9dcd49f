use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[cfg(unix)]
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
