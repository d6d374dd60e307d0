//! The stage that looks at the machine, with files of its own in a scratch folder.
//! Next: `mutations`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::checked::SecretSource;
use super::*;

/// A folder that goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mcpring-config-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A file with this content and mode; returns its path.
    fn write(&self, name: &str, content: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A good configuration whose files are all here.
    fn good(&self) -> PathBuf {
        self.write("server.crt", "certificate", 0o644);
        self.write("server.key", "key", 0o600);
        self.write("pepper", "0123456789abcdef\n", 0o600);
        self.write("keys.toml", "", 0o644);
        let text = GOOD
            .replace("/etc/server.key", "server.key")
            .replace("{ env = \"MCPRING_PEPPER\" }", "{ file = \"pepper\" }")
            .replace("cpus = \"0\"", "cpus = \"all\"");
        self.write("mcpring.toml", &text, 0o644)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn load_file(file: &Path, overrides: &[&str]) -> Result<Loaded, Problems> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load(&Source::File(file.to_owned()), &overrides)
}

#[test]
fn accepts_files_that_are_there() {
    let scratch = Scratch::new();
    let file = scratch.good();
    let loaded = load_file(&file, &[]).unwrap();
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert_eq!(loaded.config.file.as_deref(), Some(file.as_path()));
    // Relative paths are relative to the file, not to the folder of the process.
    let api_key = loaded.config.api_key.unwrap();
    assert_eq!(api_key.keys_file, scratch.0.join("keys.toml"));
    assert_eq!(api_key.pepper, SecretSource::File(scratch.0.join("pepper")));
    assert_eq!(loaded.config.tls[0].certificates[0].key_file, scratch.0.join("server.key"));
    // Those of an override are what the shell completed.
    let set = ["auth.api_key.keys_file=other.toml".to_owned()];
    let loaded = load_without_environment(&Source::File(file), &set).unwrap();
    assert_eq!(loaded.config.api_key.unwrap().keys_file, Path::new("other.toml"));
}

#[test]
fn reports_every_file_that_can_not_be_used() {
    let check = |spoil: &dyn Fn(&Scratch), overrides: &[&str], expect: &[&str]| {
        let scratch = Scratch::new();
        let file = scratch.good();
        spoil(&scratch);
        let found = load_file(&file, overrides).expect_err("it was spoilt");
        assert_eq!(codes(&found), expect, "{found}");
        assert!(found.iter().all(|problem| !problem.advice().is_empty()), "{found}");
        assert!(!found.to_string().contains("0123456789"), "a secret is shown: {found}");
    };
    let remove = |name: &'static str| move |scratch: &Scratch| fs::remove_file(scratch.0.join(name)).unwrap();
    let mode = |name: &'static str, mode: u32| {
        move |scratch: &Scratch| {
            fs::set_permissions(scratch.0.join(name), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    check(&remove("server.crt"), &[], &["E0323"]);
    check(&remove("server.key"), &[], &["E0323"]);
    check(&remove("keys.toml"), &[], &["E0323"]);
    check(&remove("pepper"), &[], &["E0323"]);
    check(
        &|scratch| fs::create_dir(scratch.0.join("folder")).unwrap(),
        &["auth.api_key.keys_file=/"],
        &["E0321"],
    );
    check(&mode("server.key", 0o640), &[], &["E0320"]);
    check(&mode("server.key", 0o604), &[], &["E0320"]);
    check(&mode("server.key", 0o620), &[], &["E0320"]);
    check(&mode("pepper", 0o644), &[], &["E0320"]);
    check(&|scratch| drop(scratch.write("pepper", "short\n\n\n\n\n\n\n\n\n\n\n\n", 0o600)), &[], &["E0351"]);
    check(&|_| {}, &["auth.api_key.pepper={ env = \"MCPRING_TEST_NO_SUCH_VARIABLE\" }"], &["E0350"]);
    check(&|_| {}, &["runtime.cpus=8191"], &["E0330"]);
    // All at once, in the order of the file.
    let all = |scratch: &Scratch| {
        remove("server.crt")(scratch);
        mode("server.key", 0o644)(scratch);
        remove("keys.toml")(scratch);
    };
    check(&all, &["limits.max_connections=0"], &["E0323", "E0320", "E0323", "E0104"]);
}

#[test]
fn follows_the_symbolic_links_of_certificate_tools() {
    let scratch = Scratch::new();
    let file = scratch.good();
    fs::rename(scratch.0.join("server.key"), scratch.0.join("1.key")).unwrap();
    symlink("1.key", scratch.0.join("server.key")).unwrap();
    load_file(&file, &[]).unwrap();
}

#[test]
fn tells_a_permission_from_other_problems() {
    let scratch = Scratch::new();
    let file = scratch.good();
    scratch.write("server.key", "key", 0o644);
    let found = load_file(&file, &[]).unwrap_err();
    assert!(found.is_permission_only());
    let message = found.iter().next().unwrap().message().to_owned();
    assert!(message.ends_with("server.key is readable by everyone (mode 0644)"), "{message}");
    assert!(!load_file(&file, &["limits.max_connections=0"]).unwrap_err().is_permission_only());
}

#[test]
fn names_a_file_that_can_not_be_read() {
    let scratch = Scratch::new();
    let found = load_file(&scratch.0.join("none.toml"), &[]).unwrap_err();
    assert_eq!(codes(&found), ["E0110"]);
    assert!(found.to_string().contains("none.toml"), "{found}");
    let long = scratch.write("long.toml", &"# much\n".repeat(200_000), 0o644);
    assert!(load_file(&long, &[]).unwrap_err().to_string().contains("longer than 1 MiB"));
    let binary = scratch.0.join("binary.toml");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    assert_eq!(codes(&load_file(&binary, &[]).unwrap_err()), ["E0110"]);
}
