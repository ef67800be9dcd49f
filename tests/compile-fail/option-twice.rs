use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, result = rax, result = rax)]
    fn lift(&self) -> Result<u8, Error>;
}

fn main() {}
