use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(result = rax)]
    fn lift(&self) -> Result<u8, Error>;
}

fn main() {}
