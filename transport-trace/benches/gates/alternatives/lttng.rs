//! LTTng-UST, where it is installed: a program in C with one tracepoint, a session of its own, and LTTng's consumer that writes
//! what is traced into files meanwhile.
//!
//! LTTng is a library for C whose tracepoints are macros, and this package's benches have no unsafe code; so it is measured by a
//! program of its own, which is compiled here and measures the same floor in its process. It is told when to measure, so that its
//! rounds stand among those of the others.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const PROVIDER: &str = include_str!("lttng/call.h");
const PROGRAM: &str = include_str!("lttng/measure.c");
/// How long anything of LTTng's may take. It may hang, and is then left out.
const LIMIT: Duration = Duration::from_secs(20);
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// What a round cost, ns per event.
pub(crate) struct Round {
    pub(crate) floor: f64,
    pub(crate) bare: f64,
    pub(crate) traced: f64,
}

/// A session of LTTng, and the program that is traced in it.
pub(crate) struct Lttng {
    // Dropped in this order: the program, then the session, then the daemon, then the folder.
    program: Program,
    session: Session,
    _daemon: Option<Daemon>,
    folder: Folder,
    rounds: u32,
}

impl Lttng {
    /// Compiles the program and starts the session.
    ///
    /// # Errors
    /// Why LTTng cannot be measured here.
    pub(crate) fn start() -> Result<Self, String> {
        let folder = Folder::new()?;
        let binary = compile(&folder)?;
        let daemon = Daemon::start(&folder)?;
        let session = Session::start(&folder)?;
        let program = Program::start(&folder, &binary)?;
        Ok(Self {
            program,
            session,
            _daemon: daemon,
            folder,
            rounds: 0,
        })
    }

    /// Measures once more.
    ///
    /// # Errors
    /// What went wrong.
    pub(crate) fn round(&mut self) -> Result<Round, String> {
        let line = self.program.ask()?;
        let numbers: Vec<f64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let &[floor, bare, traced, on] = &numbers[..] else {
            return Err(format!("its program said {line:?}"));
        };
        if on == 0.0 {
            return Err("its daemon did not turn the tracepoint on".into());
        }
        self.rounds += 1;
        Ok(Round {
            floor,
            bare,
            traced,
        })
    }

    /// Ends the session. What LTTng says of lost events, and how many bytes it wrote for each event.
    ///
    /// # Errors
    /// What went wrong; that nothing was written.
    pub(crate) fn finish(self) -> Result<String, String> {
        let name = &self.session.name;
        lttng(&self.folder, &["stop", name])?;
        let told = lttng(&self.folder, &["list", name])?;
        let lost = told
            .lines()
            .find_map(|line| line.trim().strip_prefix("Discarded events: "))
            .unwrap_or("an unknown number of");
        let bytes = bytes_in(&self.folder.traces()).map_err(|error| error.to_string())?;
        let events = u64::from(self.rounds) * crate::setup::CALLS;
        if bytes < events {
            return Err(format!(
                "its consumer wrote {bytes} bytes of {events} events"
            ));
        }
        Ok(format!(
            "LTTng dropped {lost} events of {events}, and wrote {} bytes for each",
            bytes / events
        ))
    }
}

/// A folder for the program, the trace, and what LTTng keeps of a user; removed at the end. A program in it is run: nobody else can guess
/// its name, make it before, or enter it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let mut name = [0; 8];
        getrandom::fill(&mut name).map_err(|error| error.to_string())?;
        let name = format!("hct-lttng-{:016x}", u64::from_ne_bytes(name));
        let path = std::env::temp_dir().join(name);
        let said = |error: io::Error| error.to_string();
        let mut builder = fs::DirBuilder::new();
        builder.mode(0o700).create(&path).map_err(said)?;
        // What was not made here is not removed either.
        let folder = Self(path);
        fs::create_dir(folder.traces()).map_err(said)?;
        Ok(folder)
    }

    fn traces(&self) -> PathBuf {
        self.0.join("traces")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.0).env("LTTNG_HOME", &self.0);
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn bytes_in(path: &Path) -> io::Result<u64> {
    if !path.is_dir() {
        return Ok(path.metadata()?.len());
    }
    fs::read_dir(path)?
        .map(|entry| bytes_in(&entry?.path()))
        .sum()
}

/// Waits for a process, and kills it where it takes too long.
fn wait(child: &mut Child) -> Result<bool, String> {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) => thread::sleep(LOOK),
            Err(error) => return Err(error.to_string()),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    Err("it did not end".into())
}

/// What a command prints, where it succeeds. `Ok(None)` where there is no such program.
fn run(command: &mut Command) -> Result<Option<String>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let said = |error: &str| format!("{name}: {error}");
    let mut child = match command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(said(&error.to_string())),
    };
    let texts = [
        child.stdout.take().map(gather),
        child.stderr.take().map(gather),
    ];
    let succeeded = wait(&mut child);
    // What it started may live on with its pipes, and is not waited for.
    let [out, errors] = texts.map(|text| {
        let text = text.and_then(|text| text.recv_timeout(LIMIT).ok());
        text.unwrap_or_default()
    });
    match succeeded {
        Ok(true) => Ok(Some(out)),
        Ok(false) => Err(said(errors.lines().next().unwrap_or("it failed"))),
        Err(error) => Err(said(&error)),
    }
}

/// Reads to the end.
fn gather(mut from: impl io::Read + Send + 'static) -> Receiver<String> {
    let (to, text) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = to.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    text
}

fn compile(folder: &Folder) -> Result<PathBuf, String> {
    let put = |name: &str, text: &str| {
        fs::write(folder.0.join(name), text).map_err(|error| error.to_string())
    };
    put("call.h", PROVIDER)?;
    put("measure.c", PROGRAM)?;
    let missing = || "it is not installed (Debian: lttng-tools, liblttng-ust-dev, gcc)".to_owned();
    if run(folder.command("lttng").arg("--version"))?.is_none() {
        return Err(missing());
    }
    let binary = folder.0.join("measure");
    let mut cc = folder.command("cc");
    cc.args(["-O2", "-I.", "measure.c", "-o"])
        .arg(&binary)
        .args(["-llttng-ust", "-ldl"]);
    match run(&mut cc) {
        Ok(Some(_)) => Ok(binary),
        Ok(None) => Err(missing()),
        Err(error) => Err(format!("{}: {error}", missing())),
    }
}

/// Runs `lttng`, which is not to start a daemon that nobody would end.
fn lttng(folder: &Folder, arguments: &[&str]) -> Result<String, String> {
    let mut command = folder.command("lttng");
    command.arg("--no-sessiond").args(arguments);
    run(&mut command)?.ok_or_else(|| "lttng is gone".into())
}

/// The daemon of LTTng's sessions.
struct Daemon(Child);

impl Daemon {
    /// Starts one, unless there is one: root's is the machine's.
    fn start(folder: &Folder) -> Result<Option<Self>, String> {
        let there = || lttng(folder, &["list"]).is_ok();
        if there() {
            return Ok(None);
        }
        let mut command = folder.command("lttng-sessiond");
        command
            .args(["--no-kernel", "--quiet"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let daemon = Self(command.spawn().map_err(|error| error.to_string())?);
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if there() {
                return Ok(Some(daemon));
            }
            thread::sleep(LOOK);
        }
        Err("its daemon does not answer".into())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It ends its consumers and removes its sockets when it is asked to end.
        if let Some(process) = rustix::process::Pid::from_raw(self.0.id().cast_signed()) {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        }
        let _ = wait(&mut self.0);
    }
}

/// A session, destroyed at the end.
struct Session {
    name: String,
    folder: PathBuf,
}

impl Session {
    fn start(folder: &Folder) -> Result<Self, String> {
        let name = format!("hypercall-{}", std::process::id());
        let output = format!("--output={}", folder.traces().display());
        lttng(folder, &["create", &name, &output])?;
        let session = Self {
            name: name.clone(),
            folder: folder.0.clone(),
        };
        // As large as a ring of ours.
        let channel = ["enable-channel", "-u", "-s", &name, "--subbuf-size=1M"];
        lttng(
            folder,
            &[&channel[..], &["--num-subbuf=8", "calls"]].concat(),
        )?;
        let event = ["enable-event", "-u", "-s", &name, "-c", "calls"];
        lttng(folder, &[&event[..], &["hypercall:call"]].concat())?;
        lttng(folder, &["start", &name])?;
        Ok(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut command = Command::new("lttng");
        command.env("LTTNG_HOME", &self.folder).args([
            "--no-sessiond",
            "destroy",
            "--no-wait",
            &self.name,
        ]);
        let _ = run(&mut command);
    }
}

/// The program that is traced.
struct Program {
    child: Child,
    asks: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Program {
    fn start(folder: &Folder, binary: &Path) -> Result<Self, String> {
        let mut child = folder
            .command(binary)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        let asks = child.stdin.take();
        let answers = child.stdout.take().ok_or("its program has no output")?;
        let (to, lines) = channel();
        thread::spawn(move || {
            let lines = io::BufRead::lines(io::BufReader::new(answers));
            for line in lines.map_while(Result::ok) {
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, asks, lines })
    }

    fn ask(&mut self) -> Result<String, String> {
        let asks = self.asks.as_mut().ok_or("its program takes no input")?;
        asks.write_all(b"\n").map_err(|error| error.to_string())?;
        self.lines
            .recv_timeout(LIMIT)
            .map_err(|_| "its program does not answer".into())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It ends at the end of its input.
        self.asks = None;
        let _ = wait(&mut self.child);
    }
}
