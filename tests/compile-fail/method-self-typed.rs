use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(self: &Self) -> Result<(), Error>;
}

fn main() {}
