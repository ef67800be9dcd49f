use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1)]
    async fn lift(&self) -> Result<(), Error>;
}

fn main() {}
