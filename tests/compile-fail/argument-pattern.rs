use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self, _: u8) -> Result<(), Error>;
}

fn main() {}
