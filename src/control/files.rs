//! Reading the few files a server trusts: bounded, regular files only, and private ones refused when anyone
//! but their owner can reach them. The mode is read from the open descriptor, so that what was checked is what is read.
//! Never: a secret in an error, a copy of one that is not wiped.
//! Next: `certs::load` and `keys`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::digest;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::problem::{Exit, Problem};

/// No certificate chain, key, pepper or key list is larger.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// Reads a file that anyone may read. One that anyone may write is nobody's word.
pub fn load_public(path: &Path) -> Result<Vec<u8>, Problem> {
    let file = open(path)?;
    let mode = file.metadata().map_err(|error| unreadable(path, &error))?.mode();
    if mode & 0o002 != 0 {
        let what = format!("{} is writable by everyone (mode {:04o})", path.display(), mode & 0o7777);
        return Err(Problem::error("E0324", what)
            .help(format!("chmod go-w {}", path.display()))
            .exit(Exit::Permission));
    }
    read(path, file)
}

/// What is at a path, told apart from everything else that was ever there: content, mode, kind, or why nothing can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print([u8; 32]);

/// Files of one folder that are looked at.
const FOLDER_FILES_MAX: usize = 1024;

/// Takes the print of a file, or of the files in a folder.
pub fn print(path: &Path) -> Print {
    let mut hash = digest::Context::new(&digest::SHA256);
    match fs::read_dir(path) {
        Ok(folder) => {
            let mut files: Vec<_> = folder.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for path in files.iter().filter(|path| path.is_file()).take(FOLDER_FILES_MAX) {
                hash.update(digest::digest(&digest::SHA256, path.as_os_str().as_encoded_bytes()).as_ref());
                hash.update(&print_file(path));
            }
        }
        Err(_) => hash.update(&print_file(path)),
    }
    let mut print = Print::default();
    print.0.copy_from_slice(hash.finish().as_ref());
    print
}

fn print_file(path: &Path) -> Vec<u8> {
    let seen = open(path).and_then(|file| {
        let mode = file.metadata().map_err(|error| unreadable(path, &error))?.mode();
        Ok((mode, Zeroizing::new(read(path, file)?)))
    });
    match seen {
        Ok((mode, bytes)) => {
            [&mode.to_be_bytes()[..], digest::digest(&digest::SHA256, &bytes).as_ref()].concat()
        }
        Err(problem) => problem.what.into_bytes(),
    }
}

/// Reads a file that only its owner may reach; the bytes are wiped when dropped.
pub fn load_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let file = open(path)?;
    let mode = file.metadata().map_err(|error| unreadable(path, &error))?.mode();
    if let Some(problem) = check_private(path, mode) {
        return Err(problem);
    }
    read(path, file).map(Zeroizing::new)
}

/// What is wrong with the mode of a private file.
fn check_private(path: &Path, mode: u32) -> Option<Problem> {
    let who = match mode {
        _ if mode & 0o004 != 0 => "readable by everyone",
        _ if mode & 0o002 != 0 => "writable by everyone",
        _ if mode & 0o040 != 0 => "readable by its group",
        _ if mode & 0o020 != 0 => "writable by its group",
        _ => return None,
    };
    Some(
        Problem::error("E0320", format!("{} is {who} (mode {:04o})", path.display(), mode & 0o7777))
            .help(format!("chmod 600 {}", path.display()))
            .exit(Exit::Permission),
    )
}

fn open(path: &Path) -> Result<File, Problem> {
    // Without O_NONBLOCK a FIFO in the place of a key would hold the start for ever.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| unreadable(path, &error))?;
    match file.metadata() {
        Ok(facts) if facts.is_file() => Ok(file),
        Ok(_) => Err(Problem::error("E0321", format!("{} is not a regular file", path.display()))),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn read(path: &Path, file: File) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Problem::error("E0322", format!("{} is larger than 4 MiB", path.display())));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    let exit =
        if error.kind() == io::ErrorKind::PermissionDenied { Exit::Permission } else { Exit::Configuration };
    Problem::error("E0323", format!("cannot read {}: {}", path.display(), reason(error))).exit(exit)
}

/// The system's words without `(os error N)`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text.get(..end).unwrap_or(&text).to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_private_file_that_others_can_reach() {
        let path = Path::new("/k/server.key");
        for (mode, words) in [
            (0o100_644, Some("/k/server.key is readable by everyone (mode 0644)")),
            (0o100_640, Some("/k/server.key is readable by its group (mode 0640)")),
            (0o100_602, Some("/k/server.key is writable by everyone (mode 0602)")),
            (0o100_620, Some("/k/server.key is writable by its group (mode 0620)")),
            (0o100_600, None),
            (0o100_400, None),
        ] {
            let problem = check_private(path, mode);
            assert_eq!(problem.as_ref().map(|problem| problem.what.as_str()), words, "{mode:o}");
            if let Some(problem) = problem {
                assert_eq!(problem.exit, Exit::Permission);
                assert_eq!(problem.help, ["chmod 600 /k/server.key"]);
            }
        }
    }

    #[test]
    fn refuses_a_public_file_that_everyone_may_write() {
        let scratch = super::super::certs::tests::Scratch::new();
        for (mode, code) in [(0o644, None), (0o664, None), (0o646, Some("E0324")), (0o666, Some("E0324"))] {
            let path = scratch.write("keys.toml", "", mode);
            assert_eq!(load_public(&path).err().map(|problem| problem.code), code, "{mode:o}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_readable_regular_file() {
        assert_eq!(load_public(Path::new("/")).map_err(|problem| problem.code), Err("E0321"));
        let missing = load_public(Path::new("/no/such/file")).unwrap_err();
        assert_eq!(missing.what, "cannot read /no/such/file: No such file or directory");
        assert_eq!(load_public(Path::new("/dev/zero")).map_err(|problem| problem.code), Err("E0321"));
    }
}
