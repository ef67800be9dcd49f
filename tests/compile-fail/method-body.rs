use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self) -> Result<(), Error> {
        Ok(())
    }
}

fn main() {}
