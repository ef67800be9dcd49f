//! What the tests share: an interface with every shape of argument and result, its async twin, and a way to poll by hand.

#![allow(dead_code, reason = "each test uses a part")]

pub mod plotter;
pub mod poll;
pub mod slow;
