use hypercall::{Error, interface};

const LIFT: u64 = 0x11;
const LOWER: u64 = 0x11;

#[interface]
pub trait Plotter {
    #[call(LIFT)]
    fn lift(&self) -> Result<(), Error>;
    #[call(LOWER)]
    fn lower(&self) -> Result<(), Error>;
}

fn main() {}
