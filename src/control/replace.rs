//! The place of a file that commands change while a server reads it: a new file takes the old one's place in one step, so
//! that whoever reads it meanwhile sees one or the other, and may read the new one if it could read the old.
//! Never: two writers at a time; a moment in which others may read what only its owner could.
//! Next: `keys::edit` and `tokens::command::revoke`, who change files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};

/// Where a file is or will be, held against others who would change it.
pub struct Place {
    path: PathBuf,
    /// Its folder, locked: the file itself is replaced.
    folder: File,
}

impl Place {
    /// Waits for whoever is changing the file.
    ///
    /// # Errors
    /// There is no such folder, or it can not be opened.
    pub fn hold(path: &Path) -> io::Result<Self> {
        // A link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let folder = File::open(folder)?;
        flock(&folder, FlockOperation::LockExclusive)?;
        Ok(Self { path, folder })
    }

    /// The file itself, whatever link was followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a file of that text in the place, with the owner and mode of the old one; a first one gets `first_mode`.
    ///
    /// # Errors
    /// The old file is as it was, and nothing is left beside it.
    pub fn replace(&self, text: &[u8], first_mode: u32) -> io::Result<()> {
        let old = fs::metadata(&self.path).ok();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let beside = self.path.with_file_name(format!(".{name}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        let written = (|| {
            if let Some(old) = &old {
                // Whoever the server runs as must be able to read it as before.
                let (user, group) = (old.uid(), old.gid());
                if (file.metadata()?.uid(), file.metadata()?.gid()) != (user, group) {
                    fchown(&file, Some(user), Some(group))?;
                }
            }
            let mode = old.map_or(first_mode, |old| old.mode() & 0o777);
            fchmod(&file, Mode::from_raw_mode(mode))?;
            file.write_all(text)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            self.folder.sync_all()
        })();
        if written.is_err() {
            let _ = fs::remove_file(&beside);
        }
        written
    }
}
