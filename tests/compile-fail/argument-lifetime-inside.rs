use hypercall::{Error, interface};

pub struct Label<'a>(&'a str);

#[interface]
pub trait Plotter {
    #[call(1)]
    fn label(&self, text: &Label<'_>) -> Result<(), Error>;
}

fn main() {}
