use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    fn label(&self, text: &'static u8) -> Result<(), Error>;
}

fn main() {}
