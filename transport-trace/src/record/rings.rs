//! Where the rings of a recording are: their folder, what leads to it, and their files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::read::recover::LOCK;

/// Makes a folder that only this user can enter.
pub(super) fn private_folder(path: &Path, may_exist: bool) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(may_exist).create(path)
}

/// A file beside the rings, which a recording locks as long as it goes on.
#[derive(Debug)]
pub(super) struct Held {
    path: PathBuf,
    _file: File,
}

impl Held {
    /// Takes the file away: the recording ended, and nothing of it is left in the folder.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes the file by which others see that the recording [goes on](crate::read::recover::is_recording). Where it cannot be had, nobody
/// knows. It is locked before it has the name that others look for, so that nobody finds it without its lock.
pub(super) fn hold(folder: &Path, id: u64) -> Option<Held> {
    let path = folder.join(format!("{id:016x}.{}.{LOCK}", std::process::id()));
    let made = path.with_extension("made");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&made).ok()?;
    let held = file.try_lock().is_ok() && fs::rename(&made, &path).is_ok();
    if !held {
        let _ = fs::remove_file(&made);
        return None;
    }
    Some(Held { path, _file: file })
}

/// Where folders of rings are, and links to them.
pub(super) fn default_base() -> PathBuf {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() {
        shm.to_path_buf()
    } else {
        std::env::temp_dir()
    }
}

/// What the number of a recording is found by there.
pub(super) fn default_name(id: u64) -> String {
    format!("hypercall-{}-{id:016x}", std::process::id())
}

/// Lets the folder of the rings be found where it would be by itself. That there is no place for this fails no recording.
///
/// The link's name says in which namespaces its process and its folder are, where there are such things: those of a container that
/// shares the place seem to be gone from here.
#[cfg(unix)]
pub(super) fn signpost(directory: &Path, id: u64) -> Option<PathBuf> {
    let base = default_base();
    let here = namespaces();
    let path = if let Some(here) = &here {
        forget_gone(&base, here);
        base.join(format!("hypercall-{}.{here}-{id:016x}", std::process::id()))
    } else {
        base.join(default_name(id))
    };
    let directory = std::path::absolute(directory).ok()?;
    std::os::unix::fs::symlink(directory, &path)
        .is_ok()
        .then_some(path)
}

#[cfg(not(unix))]
pub(super) const fn signpost(_: &Path, _: u64) -> Option<PathBuf> {
    None
}

/// The numbers of this process's namespaces: in which its own number is one, and in which paths lead where they lead.
#[cfg(unix)]
fn namespaces() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let number = |name: &str| {
        let namespace = Path::new("/proc/self/ns").join(name);
        namespace.metadata().ok().map(|data| data.ino())
    };
    Some(format!("{}.{}", number("pid")?, number("mnt")?))
}

/// Removes the links that killed recordings in these namespaces left to folders which are not there any more. Of other ones nobody can
/// say from here whether they are killed or gone.
#[cfg(unix)]
fn forget_gone(base: &Path, here: &str) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let process = name.as_ref().and_then(|name| {
            let (place, _) = name.strip_prefix("hypercall-")?.split_once('-')?;
            let (process, namespaces) = place.split_once('.')?;
            (namespaces == here)
                .then(|| process.parse::<u32>().ok())
                .flatten()
        });
        if let Some(process) = process
            && !Path::new("/proc").join(process.to_string()).exists()
            && let Ok(folder) = path.read_link()
            && folder.try_exists().is_ok_and(|exists| !exists)
        {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Makes the file of a ring and maps it. All its pages exist: a full tmpfs is an error here, and not a signal later.
pub(super) fn map_ring(path: &Path, bytes: usize) -> io::Result<memmap2::MmapRaw> {
    let said = |error: io::Error, advice: &str| {
        io::Error::new(
            error.kind(),
            format!("{}: {error}; {advice}", path.display()),
        )
    };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => said(
            error,
            "a recording that was killed left it there: recover it, or choose another folder for the rings",
        ),
        _ => said(error, "the folder of the rings must be writable"),
    })?;
    fill_and_map(&file, bytes).map_err(|error| {
        let _ = fs::remove_file(path);
        said(
            error,
            "a ring takes all of its memory at once: make it smaller, or choose another folder for the rings",
        )
    })
}

fn fill_and_map(mut file: &File, bytes: usize) -> io::Result<memmap2::MmapRaw> {
    let zeros = vec![0; 1 << 16];
    let mut left = bytes;
    while left != 0 {
        let part = left.min(zeros.len());
        file.write_all(zeros.get(..part).unwrap_or_default())?;
        left = left.saturating_sub(part);
    }
    memmap2::MmapOptions::new()
        .len(bytes)
        .populate()
        .map_raw(file)
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Whoever asks is in nobody's way, however many there are; what cannot be known is an error.
    #[test]
    fn a_recording_holds_a_file_of_its_own_that_many_can_ask_about() {
        use crate::read::recover::is_recording;
        let folder = std::env::temp_dir().join(format!("hct-held-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let unknown = |folder: &Path| is_recording(folder).unwrap_err().kind();
        assert_eq!(unknown(&folder), io::ErrorKind::NotFound);
        // Who locks the folder itself does not matter.
        let asks = File::open(&folder).unwrap();
        asks.try_lock_shared().unwrap();
        let (one, other) = (hold(&folder, 1).unwrap(), hold(&folder, 2).unwrap());
        assert!(is_recording(&folder).unwrap() && is_recording(&folder).unwrap());
        one.remove();
        assert!(is_recording(&folder).unwrap());
        // Killed: the file stays.
        drop(other);
        assert!(!is_recording(&folder).unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(unknown(&folder), io::ErrorKind::NotFound);
    }

    #[test]
    fn only_links_of_these_namespaces_to_what_is_gone_are_removed() {
        let base = std::env::temp_dir().join(format!("hct-links-{}", std::process::id()));
        fs::create_dir(&base).unwrap();
        let (there, gone) = (base.join("there"), base.join("gone"));
        fs::create_dir(&there).unwrap();
        let here = namespaces().unwrap();
        // No process has the greatest number.
        let (dead, alive) = (u32::MAX, std::process::id());
        let links = [
            (format!("hypercall-{dead}.{here}-01"), &gone, false),
            (format!("hypercall-{dead}.{here}-02"), &there, true),
            (format!("hypercall-{alive}.{here}-03"), &gone, true),
            // In a container, or of a version that did not say.
            (format!("hypercall-{dead}.1.{here}-04"), &gone, true),
            (format!("hypercall-{dead}.1.2-05"), &gone, true),
            (format!("hypercall-{dead}-06"), &gone, true),
        ];
        for (name, folder, _) in &links {
            symlink(folder, base.join(name)).unwrap();
        }
        forget_gone(&base, &here);
        let left = links
            .iter()
            .map(|(name, ..)| base.join(name).is_symlink())
            .collect::<Vec<_>>();
        let expected = links.iter().map(|(.., stays)| *stays).collect::<Vec<_>>();
        fs::remove_dir_all(&base).unwrap();
        assert_eq!(left, expected);
    }
}
