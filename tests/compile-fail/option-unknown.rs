use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, returns = rax)]
    fn lift(&self) -> Result<u8, Error>;
}

fn main() {}
