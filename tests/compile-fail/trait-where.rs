use hypercall::{Error, interface};

#[interface]
pub trait Plotter
where
    Self: Send,
{
    #[call(1)]
    fn lift(&self) -> Result<(), Error>;
}

fn main() {}
