use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call("lift")]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
