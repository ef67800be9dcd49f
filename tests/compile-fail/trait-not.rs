use hypercall::interface;

#[interface]
pub struct Plotter;

fn main() {}
