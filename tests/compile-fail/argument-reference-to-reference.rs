use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self, plotter: &&u8) -> Result<(), Error>;
}

fn main() {}
