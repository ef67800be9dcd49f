//! What the fuzz targets share: inputs that look like calls, memory that watches, and the rule that says what a call may
//! write.
//!
//! The rule is stated here a second time, from the interface's description alone ([`allowed`]), so that a mistake in a
//! dispatcher cannot excuse itself.

pub mod allowed;
pub mod block;
pub mod consume;
pub mod device;
pub mod guest;
pub mod input;
pub mod lines;
pub mod machine;
pub mod own;
pub mod program;
pub mod ram;
pub mod recorder;
pub mod trace;
