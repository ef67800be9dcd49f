//! `hcall import`: a trace from exported JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use hypercall_trace::entry::{Damaged, Defect, Entry};
use hypercall_trace::read::LostDescriptions;
use hypercall_trace::write::{Options, Writer};

use crate::args::Import;
use crate::export::{Header, Line};
use crate::failure::Failure;
use crate::format::UNKNOWN_NUMBER;
use crate::output::{Output, Progress};
use crate::status::Status;
use crate::target::Target;

/// The longest line that is read: more than twice the largest block of a trace.
const MAX_LINE: u64 = 160 << 20;

/// Recordings without an end that are told one by one.
const TOLD: usize = 10;

const HELP: &str = "import reads what `hcall export --to json` wrote; nothing was imported";

pub(crate) fn run(args: &Import, out: &mut Output) -> Result<Status, Failure> {
    if args.file.as_os_str() == "-" {
        return import(args, Lines::new(io::stdin().lock(), &args.file), out);
    }
    let file = File::open(&args.file).map_err(|error| Failure::Read {
        path: args.file.clone(),
        error,
    })?;
    import(args, Lines::new(BufReader::new(file), &args.file), out)
}

fn import(
    args: &Import,
    mut lines: Lines<impl BufRead>,
    out: &mut Output,
) -> Result<Status, Failure> {
    let first = lines.next()?.ok_or_else(|| {
        Failure::input(format!("{}: the file is empty", args.file.display()), HELP)
    })?;
    let header: Header = serde_json::from_slice(first).map_err(|error| lines.wrong(&error))?;
    let starts = header.starts().to_vec();
    let ends = header.ends().to_vec();
    let lacking = header.lacking();
    let unfinished = header.is_unfinished();
    let (schema, clock, lanes, id) = header.into_parts().map_err(|why| lines.wrong(&why))?;
    let path = &args.target.output;
    let size = std::fs::metadata(&args.file).map_or(0, |data| data.len());
    let failed = Target::failed(path);
    let target = Target::create(&args.target, &[&args.file])?;
    let mut writer = Writer::lacking(
        target,
        &schema,
        clock,
        Options {
            id,
            ..Options::default()
        },
        &lacking,
    )
    .map_err(&failed)?;
    for (number, lane) in (0_u32..).zip(&lanes) {
        // Lanes are numbered as they are named.
        if lane.id != number {
            return Err(lines.wrong(&format!(
                "the lanes are not numbered 0, 1, 2, … (`{}`)",
                lane.id
            )));
        }
        let of_lane = |(of, _): &&(u32, u64)| *of == number;
        let start = starts.iter().find(of_lane).map_or(0, |(_, start)| *start);
        writer.lane_from(&lane.name, start).map_err(&failed)?;
    }
    for lane in ends {
        writer
            .end_is_unknown(lane)
            .map_err(|error| lines.wrong(&error))?;
    }
    let (mut entries, mut holes) = (0_u64, 0_u64);
    let (mut read, mut end) = (0_u64, None);
    let progress = Progress::new("importing", size);
    while let Some(line) = lines.next()? {
        let line: Line = serde_json::from_slice(line).map_err(|error| lines.wrong(&error))?;
        if end.is_some() {
            return Err(lines.wrong(&"the line before it is the end of what was exported"));
        }
        if let Some(said) = line.end() {
            end = Some(said);
            continue;
        }
        read = read.saturating_add(1);
        if let Some((recording, clock, ends)) = line.begins() {
            writer.recording(recording, &clock).map_err(&failed)?;
            for lane in ends {
                writer
                    .end_is_unknown(*lane)
                    .map_err(|error| lines.wrong(&error))?;
            }
            continue;
        }
        let entry = line.into_entry(&schema).map_err(|why| lines.wrong(&why))?;
        sane(&entry).map_err(|why| lines.wrong(&why))?;
        writer.push(&entry).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => lines.wrong(&error),
            _ => failed(error),
        })?;
        if matches!(entry, Entry::Damaged(_)) {
            // The writer notes the calls that were there as lost.
            holes = holes.saturating_add(1);
            continue;
        }
        entries = entries.saturating_add(1);
        if entries.is_multiple_of(1024) {
            progress.now(lines.next);
        }
    }
    drop(progress);
    let missing = missing_lines(read, end);
    if missing.is_some() {
        // Nobody knows how many calls of which lanes stood there.
        writer.push(&cut(lines.next)).map_err(&failed)?;
    }
    let finished = if unfinished {
        writer.finish_early()
    } else {
        writer.finish()
    };
    finished.map_err(&failed)?.finish()?;
    out.line(&format!(
        "{} in {}",
        super::count(entries, "record"),
        path.display()
    ))?;
    if holes != 0 {
        crate::output::tell!(
            "hcall: {} of the original could not be read; calls that were there are noted as lost, where nobody knows how many, with an unknown number",
            super::count(holes, "damaged stretch").replace("stretchs", "stretches")
        );
    }
    if unfinished {
        crate::output::tell!("hcall: {}", crate::input::NOT_FINISHED);
    }
    if let Some(why) = &missing {
        crate::output::tell!(
            "hcall: {why}: what was written ends with {UNKNOWN_NUMBER} missing in each lane"
        );
    }
    for recording in lacking.ends.iter().take(TOLD) {
        crate::output::tell!("hcall: {}", crate::input::without_end(*recording));
    }
    if let more @ 1.. = lacking.ends.len().saturating_sub(TOLD) {
        crate::output::tell!("hcall: and {more} more recordings; see `hcall verify`");
    }
    let ends = lacking.ends.clone();
    let lacks = lacking
        != LostDescriptions {
            ends,
            ..LostDescriptions::default()
        };
    if lacks {
        crate::output::tell!(
            "hcall: a description of the original (the schema, the clock or the name of a lane) could not be read; every view of what was written says which"
        );
    }
    Ok(Status::Done.or_partly(holes != 0 || lacks || missing.is_some()))
}

/// Why the lines are not all that were exported. `None`: they are.
fn missing_lines(read: u64, end: Option<u64>) -> Option<String> {
    let Some(said) = end else {
        return Some(
            "the lines have no end: they were cut off, or exported by a version that wrote none"
                .to_owned(),
        );
    };
    (said != read).then(|| {
        let (read, are) = super::count_are(read, "line");
        format!("{read} {are} behind the first one, and {said} were exported")
    })
}

/// A stretch of which nobody knows what it held, behind all lines.
const fn cut(offset: u64) -> Entry {
    Entry::Damaged(Damaged {
        offset,
        length: 0,
        defect: Defect::Cut,
        lane: None,
        entries: None,
        index: None,
        calls: None,
    })
}

/// What the types do not say: a block's bytes are as many as it has.
fn sane(entry: &Entry) -> Result<(), &'static str> {
    use hypercall_trace::entry::{After, Argument, Block, Target};
    fn block(of: &Block, nested: bool) -> Result<(), &'static str> {
        let before = of.before.len() == of.length
            || of.before.is_empty() && of.direction == hypercall_core::call::Direction::Write;
        let after = !matches!(&of.after, After::Changed(bytes) if bytes.len() != of.length);
        if !before || !after {
            return Err("a block has not as many bytes as its `length` says");
        }
        match &of.link {
            Some(_) if nested => Err("a block that is pointed at points at nothing further"),
            Some(link) => match &link.target {
                Target::Block(inner) => block(inner, true),
                _ => Ok(()),
            },
            None => Ok(()),
        }
    }
    let Entry::Call(call) = entry else {
        return Ok(());
    };
    call.args.iter().try_for_each(|argument| match argument {
        Argument::Block(of) => block(of, false),
        _ => Ok(()),
    })
}

/// Lines of a file, each with its place.
struct Lines<'p, R> {
    from: R,
    path: &'p Path,
    line: Vec<u8>,
    number: u64,
    offset: u64,
    next: u64,
}

impl<'p, R: BufRead> Lines<'p, R> {
    const fn new(from: R, path: &'p Path) -> Self {
        Self {
            from,
            path,
            line: Vec::new(),
            number: 0,
            offset: 0,
            next: 0,
        }
    }

    /// The next line that has something in it.
    fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        loop {
            self.line.clear();
            self.number = self.number.saturating_add(1);
            self.offset = self.next;
            let read = self
                .from
                .by_ref()
                .take(MAX_LINE)
                .read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| Failure::Read {
                path: self.path.into(),
                error,
            })?;
            let read = u64::try_from(read).unwrap_or(u64::MAX);
            self.next = self.next.saturating_add(read);
            if read == 0 {
                return Ok(None);
            }
            if read == MAX_LINE {
                return Err(self.wrong(&"the line is longer than any call can be"));
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(&self.line));
            }
        }
    }

    fn wrong(&self, cause: &dyn std::fmt::Display) -> Failure {
        Failure::Line {
            path: self.path.into(),
            line: self.number,
            offset: self.offset,
            cause: cause.to_string(),
            help: HELP,
        }
    }
}
