use hypercall::{Error, interface};

#[interface]
pub trait Plotter: Send {
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
