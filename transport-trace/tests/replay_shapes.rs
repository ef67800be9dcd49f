//! Names and addresses wherever a call can carry them: registers, blocks, arrays behind a header; in both directions.

extern crate hypercall_core as hypercall;

use std::path::PathBuf;

use hypercall::arg::{Arg, Linked, Target};
use hypercall::call::CallInfo;
use hypercall::{Client, Error, Gpa, Payload, Transport, TransportError};
use hypercall_trace::diff::diff;
use hypercall_trace::entry::{Argument, Entry, Outcome};
use hypercall_trace::read::Trace;
use hypercall_trace::record::{Recorder, Recording, Redaction};
use hypercall_trace::replay::{Mode, Options, Reason, Recorded, Replayer};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

hypercall::register_id! {
    /// A job.
    pub struct JobId(u32) as Handle;
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Job {
    pub id: JobId,
    pub weight: u32,
    pub memory: Gpa,
    #[payload(volatile)]
    pub ticks: u64,
    #[payload(secret)]
    pub key: [u8; 8],
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Payload,
)]
#[repr(C)]
pub struct Jobs {
    pub count: u32,
    #[payload(reserved)]
    pub reserved: u32,
    #[payload(address)]
    pub jobs: u64,
}

/// A queue of jobs.
#[hypercall::interface(crate = ::hypercall_core)]
pub trait Queue {
    /// A name and an address in registers.
    #[call(0x20)]
    fn open(&self, job: JobId, memory: Gpa) -> Result<(), Error>;
    /// They come out of a block.
    #[call(0x21)]
    fn first(&self) -> Result<Job, Error>;
    /// They go in and come out of an array.
    #[call(0x22, header(Jobs { count: jobs.len(), jobs: &jobs }))]
    fn update(&self, jobs: &mut [Job]) -> Result<(), Error>;
    /// They go in and come out of a block.
    #[call(0x23)]
    fn touch(&self, job: &mut Job) -> Result<(), Error>;
    /// A name comes out in RAX.
    #[call(0x24, result = rax)]
    fn submit(&self, weight: u32) -> Result<JobId, Error>;
}

fn job(id: u32, memory: u64) -> Job {
    Job {
        id: JobId(id),
        weight: 1,
        memory: Gpa(memory),
        ticks: 0,
        key: [0; 8],
    }
}

/// Gives out job 5 and job 9; sets the weight of what it is given, and adds a job where one has the id 0.
struct Machine;

impl Machine {
    fn fill(bytes: &mut [u8]) {
        for chunk in bytes.chunks_exact_mut(size_of::<Job>()) {
            let mut one = Job::read_from_bytes(chunk).unwrap();
            if one.id == JobId(0) {
                one.id = JobId(9);
                one.memory = Gpa(0x9000);
            }
            one.weight += 1;
            chunk.copy_from_slice(one.as_bytes());
        }
    }
}

impl Transport for Machine {
    fn call<'a>(
        &self,
        info: &'static CallInfo,
        mut args: [Arg<'a>; 2],
    ) -> Result<i64, TransportError> {
        match &mut args[0] {
            Arg::Write(bytes) => bytes.copy_from_slice(job(5, 0x5000).as_bytes()),
            Arg::ReadWrite(bytes) => Self::fill(bytes),
            Arg::Linked(Linked {
                target: Target::ReadWrite(bytes),
                ..
            }) => Self::fill(bytes),
            _ => {}
        }
        Ok(match info.name {
            "open" if args[0].value() == 404 => -2,
            "submit" => 9,
            _ => 0,
        })
    }
}

fn record(name: &str, program: impl Fn(&dyn Queue)) -> Recorded {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("shapes-{name}-{}.hct", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let recording = Recording::options(&[QueueCalls::INTERFACE])
        .redaction(Redaction::Hash(*b"a key for tests."))
        .create(&path)
        .unwrap();
    program(&Client::new(Recorder::new(
        Machine,
        recording.lane("main").unwrap(),
    )));
    recording.finish();
    let recorded = Recorded::read(&Trace::open(&path).unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    recorded
}

fn replay(recorded: &Recorded, options: Options) -> (Replayer, impl Queue) {
    let replayer = options.recorded(recorded.clone()).unwrap();
    let queue = Client::new(replayer.lane("main"));
    (replayer, queue)
}

/// A program that was given a job and memory from elsewhere, and goes on with what it is answered.
fn program(queue: &dyn Queue, id: u32, memory: u64) -> Result<Vec<Job>, Error> {
    queue.open(JobId(id), Gpa(memory))?;
    let first = queue.first()?;
    let mut jobs = [first, job(0, 0)];
    queue.update(&mut jobs)?;
    let mut one = jobs[1];
    queue.touch(&mut one)?;
    queue.open(one.id, one.memory)?;
    Ok(vec![first, jobs[0], jobs[1], one])
}

#[test]
fn names_are_the_live_ones_in_every_place() {
    let recorded = record("places", |queue| {
        program(queue, 5, 0x5000).unwrap();
    });
    // The same names.
    let (replayer, queue) = replay(&recorded, Replayer::options());
    let same = program(&queue, 5, 0x5000).unwrap();
    assert_eq!(same[3].id, JobId(9));
    replayer.finish().unwrap();

    // The live program calls job 5 by the name that the trace has for another one.
    let (replayer, queue) = replay(&recorded, Replayer::options());
    let jobs = program(&queue, 9, 0x9000).unwrap();
    replayer.finish().unwrap();
    let [first, given, added, touched] = jobs.as_slice() else {
        panic!("{jobs:?}")
    };
    assert_eq!((first.id, first.memory), (JobId(9), Gpa(0x9000)));
    assert_eq!(
        (given.id, given.memory, given.weight),
        (JobId(9), Gpa(0x9000), 2)
    );
    // Recorded 9 cannot be called 9, for that is taken; whatever it is called, it is called that everywhere.
    assert_ne!(added.id, JobId(9));
    assert_ne!(added.memory, Gpa(0x9000));
    assert_eq!(
        (touched.id, touched.memory, touched.weight),
        (added.id, added.memory, 3)
    );
}

#[test]
fn another_name_diverges_in_every_place() {
    let recorded = record("others", |queue| {
        program(queue, 5, 0x5000).unwrap();
    });
    type Step<'s> = &'s dyn Fn(&dyn Queue, Job) -> Result<(), Error>;
    let update = |queue: &dyn Queue, first: Job| queue.update(&mut [first, job(0, 0)]);
    let cases: [(Step<'_>, &str); 3] = [
        (
            &|queue, first| {
                queue.update(&mut [
                    Job {
                        id: JobId(6),
                        ..first
                    },
                    job(0, 0),
                ])
            },
            "jobs[0].id",
        ),
        (
            &|queue, first| {
                queue.update(&mut [
                    Job {
                        memory: Gpa(0x6000),
                        ..first
                    },
                    job(0, 0),
                ])
            },
            "jobs[0].memory",
        ),
        (
            &|queue, first| {
                update(queue, first)?;
                queue.touch(&mut Job { weight: 2, ..first })
            },
            "id",
        ),
    ];
    for (step, field) in cases {
        let (replayer, queue) = replay(&recorded, Replayer::options());
        queue.open(JobId(5), Gpa(0x5000)).unwrap();
        let first = queue.first().unwrap();
        step(&queue, first).unwrap_err();
        let told = replayer.divergence().unwrap();
        assert_eq!(told.differences[0].field, field, "{told}");
        assert!(
            matches!(
                told.differences[0].reason,
                Reason::ExpectedIsTied { .. } | Reason::FoundIsTied { .. }
            ),
            "{told}"
        );
    }
}

/// Clocks are not compared, and what a program put there stays; secrets are compared by their hash.
#[test]
fn clocks_and_secrets() {
    let of = |ticks: u64, key: [u8; 8]| Job {
        ticks,
        key,
        ..job(5, 0x5000)
    };
    let recorded = record("clocks", |queue| {
        queue.touch(&mut of(100, *b"password")).unwrap();
    });
    let run = |options: Options, one: &mut Job| {
        let (replayer, queue) = replay(&recorded, options);
        let answer = queue.touch(one);
        (answer, replayer.divergence())
    };
    let known = || Replayer::options().secret_key(*b"a key for tests.");
    let mut one = of(777, *b"password");
    run(known(), &mut one).0.unwrap();
    assert_eq!((one.weight, one.ticks, one.key), (2, 777, *b"password"));
    let mut one = of(777, *b"passw0rd");
    let (answer, told) = run(known(), &mut one);
    answer.unwrap_err();
    let told = told.unwrap();
    assert_eq!(told.differences[0].reason, Reason::Secret);
    assert!(!told.to_string().contains("passw"), "{told}");
    // Without the key nobody can tell.
    let mut one = of(777, *b"passw0rd");
    run(Replayer::options(), &mut one).0.unwrap();
    assert_eq!(one.key, *b"passw0rd", "the program's own");
}

/// Where the order is open, a record that is never used does not stand in the way of those behind it.
#[test]
fn keyed_goes_on_behind_what_is_never_used() {
    let recorded = record("unused", |queue| {
        queue.open(JobId(404), Gpa(0)).unwrap_err();
        for memory in 1..2000 {
            queue.open(JobId(5), Gpa(memory << 12)).unwrap();
        }
    });
    let (replayer, queue) = replay(&recorded, Replayer::options().mode(Mode::Keyed));
    for memory in 1..2000 {
        queue.open(JobId(5), Gpa(memory << 12)).unwrap();
    }
    let report = replayer.finish().unwrap_err();
    assert_eq!((report.answered, report.unused.len()), (1999, 1));
    assert_eq!(report.unused[0].line.index, 0);
    assert_eq!(queue.open(JobId(404), Gpa(0)).unwrap_err().code(), Some(-2));
    replayer.finish().unwrap();
}

#[test]
fn names_of_other_things_are_no_vms() {
    let recorded = record("no-vms", |queue| {
        program(queue, 5, 0x5000).unwrap();
    });
    let machine = hypercall_trace::state::state_at(&recorded, u64::MAX);
    assert!(machine.vms.is_empty(), "{machine}");
}

#[test]
fn a_name_that_comes_in_rax_is_a_name() {
    let recorded = record("rax", |queue| {
        queue.open(JobId(5), Gpa(0x5000)).unwrap();
        let job = queue.submit(3).unwrap();
        queue.open(job, Gpa(0x5000)).unwrap();
    });
    // What the live program calls 9 is another job; what it is given has a name of its own.
    let (replayer, queue) = replay(&recorded, Replayer::options());
    queue.open(JobId(9), Gpa(0x5000)).unwrap();
    let job = queue.submit(3).unwrap();
    assert_ne!(job, JobId(9));
    queue.open(job, Gpa(0x5000)).unwrap();
    replayer.finish().unwrap();
    // Nothing else stands for it.
    let (replayer, queue) = replay(&recorded, Replayer::options());
    queue.open(JobId(5), Gpa(0x5000)).unwrap();
    assert_eq!(queue.submit(3).unwrap(), JobId(9));
    queue.open(JobId(7), Gpa(0x5000)).unwrap_err();
    assert!(replayer.finish().is_err());

    // Another run, where it is called 12.
    let other = |given: i64, used: u64| {
        let mut other = recorded.clone();
        for entry in &mut other.entries {
            if let Entry::Call(call) = entry {
                if call.name() == "submit" {
                    call.outcome = Outcome::Returned(given);
                }
                if call.args[0] == Argument::Value(9) {
                    call.args[0] = Argument::Value(used);
                }
            }
        }
        diff(&recorded, &other, hypercall_trace::diff::Options::default())
    };
    let same = other(12, 12);
    assert!(same.is_empty(), "{same}");
    assert_eq!(same.same, 3);
    for (given, used) in [(12, 13), (0, 0), (-2, 9)] {
        assert!(!other(given, used).is_empty(), "{given} {used}");
    }
}
