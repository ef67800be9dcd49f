use hypercall::interface;

#[interface]
pub trait Plotter {
    #[call(1)]
    fn lift(&self) -> u64;
}

fn main() {}
