use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn name(&self) -> Result<&'static u8, Error>;
}

fn main() {}
