//! Where the rings of a recording are that was not finished, and whose they are.
//!
//! They are looked for where everybody may put something. What somebody else put there, under the same number, is not believed.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hypercall_trace::read::recover::{find, is_recording};

/// The users whose rings are believed.
#[derive(Debug)]
pub(crate) struct Owners(Vec<u32>);

impl Owners {
    /// Whoever has the trace's file, who runs this, and root.
    pub(crate) fn of(trace: &Path) -> Self {
        let mut owners = vec![0, rustix::process::geteuid().as_raw()];
        owners.extend(trace.metadata().map(|data| data.uid()));
        Self(owners)
    }

    /// Whether one of them has a file or a folder. What is not there is nobody's.
    fn have(&self, data: io::Result<std::fs::Metadata>) -> bool {
        data.map_or(true, |data| self.0.contains(&data.uid()))
    }
}

/// Where the rings of a recording are.
#[derive(Debug)]
pub(crate) struct Place {
    /// What has its number in its name.
    pub(crate) entry: PathBuf,
    /// That, or what it leads to where the recording was given another folder.
    pub(crate) folder: PathBuf,
}

impl Place {
    /// The ring files that are believed. Of others it is said that they were left out; how many there are.
    ///
    /// # Errors
    /// As the operating system says.
    pub(crate) fn rings(&self, owners: &Owners) -> io::Result<(Vec<PathBuf>, usize)> {
        let (own, foreign): (Vec<_>, Vec<_>) = find(&self.folder)?
            .into_iter()
            .partition(|file| owners.have(file.symlink_metadata()));
        foreign.iter().for_each(|file| leave_out(file));
        Ok((own, foreign.len()))
    }
}

/// The places of a recording's rings.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Those that are believed.
    pub(crate) own: Vec<Place>,
    /// What somebody else put there.
    foreign: Vec<PathBuf>,
}

impl Places {
    /// Those of the recording with this number, if it is not finished.
    pub(crate) fn of(id: u64, owners: &Owners) -> Self {
        Self::in_folders(
            &[PathBuf::from("/dev/shm"), std::env::temp_dir()],
            id,
            owners,
        )
    }

    fn in_folders(bases: &[PathBuf], id: u64, owners: &Owners) -> Self {
        let mut places = Self::default();
        if id == 0 {
            // It has none, as any other may.
            return places;
        }
        let end = format!("-{id:016x}");
        for base in bases {
            let Ok(entries) = std::fs::read_dir(base) else {
                continue;
            };
            for entry in entries.flatten().map(|entry| entry.path()) {
                let name = entry.file_name().map(|name| name.to_string_lossy());
                if name.is_some_and(|name| name.starts_with("hypercall-") && name.ends_with(&end)) {
                    // Read and not followed: the system may not let root follow what another user left in such a place.
                    let folder = entry.read_link().unwrap_or_else(|_| entry.clone());
                    if owners.have(entry.symlink_metadata()) && owners.have(folder.metadata()) {
                        places.own.push(Place { entry, folder });
                    } else {
                        places.foreign.push(entry);
                    }
                }
            }
        }
        places.own.sort_by(|one, two| one.folder.cmp(&two.folder));
        places.own.dedup_by(|one, two| one.folder == two.folder);
        places
    }

    /// Whether the recording goes on. `None` where nobody can say: none of its places is here, or a link leads to a folder that is not
    /// there, or is where only the recording sees it, as in a container.
    pub(crate) fn goes_on(&self) -> Option<bool> {
        let asked = self
            .own
            .iter()
            .map(|place| is_recording(&place.folder).ok());
        asked.reduce(|one, two| match (one, two) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            (Some(false), Some(false)) => Some(false),
        })?
    }

    /// Says of what somebody else put there that it was left out. How many there are.
    pub(crate) fn tell_foreign(&self) -> usize {
        self.foreign.iter().for_each(|entry| leave_out(entry));
        self.foreign.len()
    }
}

fn leave_out(path: &Path) {
    crate::output::tell!(
        "hcall: {} is named as the recording's rings are, but it, or what it leads to, belongs neither to whoever has the trace \
         nor to you nor to root: it was left out. If you believe it, name it with --rings",
        path.display()
    );
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;

    const ID: u64 = 0x1234_5678_9abc_def0;

    /// Somebody's folder of rings with a link to it, in a place where everybody may put something.
    fn somewhere() -> (tempfile::TempDir, u32) {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("rings");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("lane-0.ring"), "").unwrap();
        let name = format!("hypercall-7-{ID:016x}");
        std::os::unix::fs::symlink(&folder, base.path().join(name)).unwrap();
        let me = folder.metadata().unwrap().uid();
        (base, me)
    }

    #[test]
    fn what_somebody_else_put_there_is_not_believed() {
        let (base, me) = somewhere();
        let bases = [base.path().to_path_buf()];
        let places = Places::in_folders(&bases, ID, &Owners(vec![me]));
        assert_eq!((places.own.len(), places.foreign.len()), (1, 0));
        let place = places.own.first().unwrap();
        assert_eq!(place.folder, base.path().join("rings"));
        assert_ne!(place.entry, place.folder);
        // To others it is somebody else's: the place, and each file in a folder of theirs.
        let others = Owners(vec![me ^ 1]);
        let places = Places::in_folders(&bases, ID, &others);
        assert_eq!((places.own.len(), places.foreign.len()), (0, 1));
        assert_eq!(place.rings(&others).unwrap(), (vec![], 1));
        let file = base.path().join("rings/lane-0.ring");
        assert_eq!(place.rings(&Owners(vec![me])).unwrap(), (vec![file], 0));
        // Another number is another recording.
        let places = Places::in_folders(&bases, ID ^ 1, &Owners(vec![me]));
        assert_eq!((places.own.len(), places.foreign.len()), (0, 0));
    }

    #[test]
    fn a_link_to_what_is_gone_is_a_place_still() {
        let (base, me) = somewhere();
        std::fs::remove_dir_all(base.path().join("rings")).unwrap();
        let places = Places::in_folders(&[base.path().into()], ID, &Owners(vec![me]));
        assert_eq!(places.own.len(), 1);
    }

    #[test]
    fn whoever_has_the_trace_is_believed_and_so_is_who_runs_this() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owners = Owners::of(file.path());
        assert!(owners.have(file.path().metadata()));
        assert!(owners.have(Path::new("/").metadata()) && owners.0.contains(&0));
        assert!(owners.0.contains(&rustix::process::geteuid().as_raw()));
    }
}
