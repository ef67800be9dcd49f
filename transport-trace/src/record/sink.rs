//! Takes the bytes of a trace where there are no files: a serial port, a shared page.

/// Takes the bytes of a trace, in order.
pub trait Sink {
    /// Takes bytes.
    ///
    /// # Errors
    /// [`SinkFailed`] when the sink did not take all of them. The records are then lost, which a later block says; a
    /// reader finds the next block whatever part of this one arrived.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed>;
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkFailed> {
        (**self).write(bytes)
    }
}

/// A sink did not take bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkFailed;

impl core::fmt::Display for SinkFailed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the sink of the trace took no more bytes")
    }
}
impl core::error::Error for SinkFailed {}
