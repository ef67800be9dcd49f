use hypercall::interface;

#[interface]
pub trait Plotter {
    fn lift(&self, _plotter: impl Into<u16>) {}
}

fn main() {}
