use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn same(&self, other: &Self) -> Result<(), Error>;
}

fn main() {}
