//! A folder of a test.

use std::path::{Path, PathBuf};

/// A folder of a test, removed at its end. Its path is without links, as other programs see it.
pub struct Folder(pub PathBuf);

impl Folder {
    /// An empty folder. No other test of the same file has one of this name at the same time.
    pub fn new(name: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let program = program.file_stem().unwrap().to_string_lossy().into_owned();
        let path =
            std::env::temp_dir().join(format!("hct-{program}-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path.canonicalize().unwrap())
    }

    /// A place in it.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
