use hypercall::{Error, interface};

#[interface]
pub trait Plotter {
    #[call(1, header(points))]
    fn draw(&self, points: &[u16]) -> Result<(), Error>;
}

fn main() {}
