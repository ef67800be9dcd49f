use hypercall::{Error, interface};

#[interface]
pub unsafe trait Plotter {
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
