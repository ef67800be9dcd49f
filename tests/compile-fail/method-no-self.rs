use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift() -> Result<(), Error>;
}

fn main() {}
