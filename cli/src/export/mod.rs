//! The forms that other programs read, over decoded entries.
//!
//! An exporter is small on purpose: it is told of the trace once, then of each entry. A new form is one more file here
//! and one more name in `hcall export --to`.

mod dissector;
mod json_lines;
mod packet;
mod pcapng;
pub mod raw;
mod schema_json;

use std::io;

use hypercall_trace::entry::Entry;
use hypercall_trace::read::Trace;

pub use dissector::dissector;
pub use json_lines::{Header, JsonLines, Line, VERSION};
pub use pcapng::Pcapng;

/// Writes a trace in another form.
pub trait Exporter {
    /// Before the first entry.
    ///
    /// # Errors
    /// As the sink says.
    fn start(&mut self, trace: &Trace) -> io::Result<()>;

    /// The entries that follow are of this recording of a file that was joined from several; those before are of recording 0. It may have
    /// none.
    ///
    /// # Errors
    /// As the sink says.
    fn recording(&mut self, _number: u32) -> io::Result<()> {
        Ok(())
    }

    /// The next entry, in the order of time: however lanes stand in the file, what comes out is the same.
    ///
    /// # Errors
    /// As the sink says.
    fn entry(&mut self, entry: &Entry) -> io::Result<()>;

    /// Behind the last entry.
    ///
    /// # Errors
    /// As the sink says.
    fn finish(&mut self) -> io::Result<()>;
}
