use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn label(&self, text: &str) -> Result<(), Error>;
}

fn main() {}
