use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn line(&self, x: u32, y: u32, width: u32) -> Result<(), Error>;
}

fn main() {}
