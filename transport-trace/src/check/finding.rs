//! What a check finds.

use std::fmt;

use serde::Serialize;

use crate::state::At;

/// A place where a trace breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub at: At,
    /// The VM that it is about.
    pub vm: Option<u16>,
    /// What happened, as a sentence without its full stop.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// A mistake of the program's, or the end of the machine.
    Error,
}

/// A rule of a VM's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// A VM was started without a page for its I/O requests.
    StartWithoutRequestPage,
    /// A VM was started that runs.
    StartedTwice,
    /// A call was about a VM that was destroyed.
    UsedAfterDestroy,
    /// A call was made in a state of the VM in which the hypervisor refuses it.
    WrongState,
    /// A VM was destroyed, or the trace ends, with devices that were never given back.
    DeviceNotGivenBack,
    /// The trace ends with a VM that was created in it.
    VmNotDestroyed,
    /// One page was given to the hypervisor for two purposes.
    PageGivenTwice,
    /// A notification for a request that is not complete, or that nobody made. Not found behind calls that are missing, or behind
    /// changes of the request page that are, until what tells of it has changed again.
    NotifyWithoutRequest,
    /// A program answered a request that none of its looks had found: a replay of the trace cannot show it, and the program waits.
    ///
    /// It is found where a request page shows it in the lane that watched the page and handed it over: an answered request in a
    /// slot that was free, or that had another one's answer, when the lane looked last. Where the hypervisor waits for a
    /// notification, that is told at the call; where it polls for completion, at the look that shows the answer. Not found are
    ///
    /// - a request that was answered and that the hypervisor took back before the next look, as it does at once where it polls: the
    ///   slot is free again, and nobody knows whether a request that stands in it was raised at all;
    /// - one like that before it in the same slot, where the hypervisor did not take the first answer back before the second one;
    /// - one that a note showed while it was served: a driver may have taken it for the program;
    /// - one that a driver says it served itself;
    /// - one that another lane, or another thread while a call was made, may have found;
    /// - any behind calls that are missing, or behind changes of the page that are, until what tells of it has changed again;
    /// - what stands in a buffer, and in the pages of another interface than ACRN's: a trace does not say what in them is a request.
    LookNotNoted,
    /// A call that pauses or stops its caller.
    StopsCaller,
    /// A call that crashes the hypervisor.
    CrashesHypervisor,
    /// A call that lets the hypervisor write where it should not.
    WritesBeyondBuffer,
    /// A change of the caller's own memory.
    OwnMemory,
    /// A region that was to be modified is unmapped instead.
    UnmapsInstead,
    /// Memory was mapped where the VM has memory: the old translation stays.
    MappedTwice,
    /// A range was unmapped that the VM does not have.
    UnmapsNothing,
    /// A refused creation took the name away from a VM that lives.
    NameLost,
    /// A creation answered an id that no new VM can have.
    ImpossibleId,
    /// A VM without vCPUs was started.
    NoVcpu,
    /// A call that never returned.
    NeverReturned,
    /// The hypervisor crashed, hung, or its answer was lost.
    NoAnswer,
    /// Calls are missing: what follows may be wrong.
    CallsMissing,
    /// There is more of something than is followed, more than a machine has: what is beyond is not checked.
    NotFollowed,
}

impl Rule {
    /// How bad it is to break the rule.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::DeviceNotGivenBack
            | Self::VmNotDestroyed
            | Self::WrongState
            | Self::UnmapsNothing
            | Self::MappedTwice
            | Self::LookNotNoted
            | Self::CallsMissing
            | Self::NotFollowed => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::StartWithoutRequestPage => "call set_ioreq_buffer for the VM before start_vm",
            Self::StartedTwice => "start a VM once; to start it again, pause and reset it first",
            Self::UsedAfterDestroy => {
                "drop the id when destroy_vm succeeds: the next VM may get the same one"
            }
            Self::WrongState => {
                "bring the VM into a state in which the call succeeds: pause before destroy and reset, set up before start"
            }
            Self::DeviceNotGivenBack => "deassign or remove the device before the VM is destroyed",
            Self::VmNotDestroyed => "pause and destroy the VM when its work is done",
            Self::PageGivenTwice => {
                "give each VM and each buffer a page of its own: both would write into this one"
            }
            Self::NotifyWithoutRequest => {
                "notify once for each request, after its state was set to COMPLETE; record the page with watch so that it is seen"
            }
            Self::LookNotNoted => {
                "record with note_pages before each look at the page, and once more before acting on what it shows: else a replay waits for ever, or until its looks are used up"
            }
            Self::StopsCaller => {
                "never name the Service VM, or the processor that makes the call, here: the call does not return"
            }
            Self::CrashesHypervisor => {
                "set up the VM's ASYNCIO buffer with setup_sbuf before asyncio_assign"
            }
            Self::WritesBeyondBuffer => "ask for 48 counters: 0 and 1 switch the limit off",
            Self::OwnMemory => "name the VM whose memory is meant: VM 0 is the caller",
            Self::UnmapsInstead => {
                "unmap the region and map it anew: ACRN takes every kind but ADD for a deletion"
            }
            Self::MappedTwice => {
                "unmap the range first: pages that are mapped keep their old translation"
            }
            Self::UnmapsNothing => "unmap exactly what was mapped: otherwise nothing is unmapped",
            Self::NameLost => {
                "do not create a VM under the name of one that lives: the name then means another slot"
            }
            Self::ImpossibleId => {
                "do not use the id: 0 is the Service VM, which calls about it would change; look at what answers in ACRN's place"
            }
            Self::NoVcpu => {
                "give the VM an affinity when it is created: starting a VM without vCPUs crashes the hypervisor"
            }
            Self::NeverReturned => {
                "look at what the call waits for, and at what the hypervisor's log says last"
            }
            Self::NoAnswer => "read the hypervisor's log; what the call did is not known",
            Self::NotFollowed => {
                "take a part of the trace, if it is a right one: what is not followed breaks no rule here, whatever it does"
            }
            Self::CallsMissing => {
                "where the recorder lost calls, record with a larger ring, or one that blocks; where the file is damaged, use another copy; where it is of a newer version, use that one's tools"
            }
        }
    }

    pub(super) fn found(self, at: &At, vm: Option<u16>, message: String) -> Finding {
        Finding {
            rule: self,
            severity: self.severity(),
            at: at.clone(),
            vm,
            message,
            advice: self.advice(),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            severity,
            at,
            message,
            advice,
            ..
        } = self;
        write!(f, "{severity} at {at}: {message}. {advice}")
    }
}
