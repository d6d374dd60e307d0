//! Where the text of a configuration comes from: a named file, the first that exists of the usual places, or memory.
//! Next: `tree`, which reads the text.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::problem::{Code, Problem, Problems};

/// No configuration is longer; a file that is was named by mistake.
const TEXT_BYTES_MAX: u64 = 1 << 20;

/// Where a configuration is.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file. Relative paths in it are relative to its folder.
    File(PathBuf),
    /// Here. Relative paths in it are relative to the current folder.
    Text {
        /// What problems call it.
        name: String,
        /// TOML.
        text: String,
    },
}

impl Source {
    /// The file that was named, or `$MCPRING_CONFIG`, or the first that exists of `./mcpring.toml`,
    /// `$XDG_CONFIG_HOME/mcpring/mcpring.toml` and `/etc/mcpring/mcpring.toml`. Fails when there is none.
    pub fn find(named: Option<PathBuf>) -> Result<Self, Problems> {
        Self::find_with(named, &|name| env::var_os(name))
    }

    /// The file that was named, or `$MCPRING_CONFIG`; nothing is looked for. Whoever is started by a client runs in whichever
    /// folder that is in, and a server's file there is not meant for it.
    pub fn named(named: Option<PathBuf>) -> Option<Self> {
        let variable = || env::var_os("MCPRING_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
        named.or_else(variable).map(Self::File)
    }

    /// The same with these environment variables.
    fn find_with(
        named: Option<PathBuf>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Problems> {
        let variable = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(file) = named.or_else(|| variable("MCPRING_CONFIG")) {
            return Ok(Self::File(file));
        }
        let user = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
        let places = [
            Some(PathBuf::from("mcpring.toml")),
            user.map(|folder| folder.join("mcpring/mcpring.toml")),
            Some(PathBuf::from("/etc/mcpring/mcpring.toml")),
        ];
        let places: Vec<PathBuf> = places.into_iter().flatten().collect();
        if let Some(file) = places.iter().find(|file| file.exists()) {
            return Ok(Self::File(file.clone()));
        }
        let tried = places.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        let mut problem = Problem::new(Code::NoFile, None, "there is no configuration file");
        problem.note(format!("looked for {tried}"));
        problem.help("name one with --config FILE, or try `mcpring dev`, which needs none");
        Err(Problems::without_source(vec![problem]))
    }

    /// What problems call it.
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Text { name, .. } => name.clone(),
        }
    }

    /// The file, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) => Some(file),
            Self::Text { .. } => None,
        }
    }

    /// The text.
    pub(super) fn read(&self) -> Result<String, Problems> {
        let file = match self {
            Self::Text { text, .. } => return Ok(text.clone()),
            Self::File(file) => file,
        };
        bounded(file).map_err(|error| {
            let message = format!("can not read the configuration file {}", file.display());
            let mut problem = Problem::new(Code::NoFile, None, message);
            problem.note(error.to_string()).help("check the path and its permissions");
            Problems::without_source(vec![problem])
        })
    }
}

/// The content of a file that is text and not too long.
fn bounded(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(file)?.take(TEXT_BYTES_MAX + 1).read_to_string(&mut text)?;
    if u64::try_from(read).is_ok_and(|read| read > TEXT_BYTES_MAX) {
        return Err(io::Error::other("it is longer than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_in_the_usual_places_in_order() {
        let scratch = env::temp_dir().join(format!("mcpring-source-{}", std::process::id()));
        let (xdg, home) = (scratch.join("xdg"), scratch.join("home"));
        for folder in [xdg.join("mcpring"), home.join(".config/mcpring")] {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("mcpring.toml"), "").unwrap();
        }
        let find = |named: Option<&str>, set: &[(&str, &Path)]| {
            let variable = |name: &str| {
                set.iter().find(|(other, _)| *other == name).map(|(_, value)| value.as_os_str().to_owned())
            };
            Source::find_with(named.map(PathBuf::from), &variable).map(|source| source.name())
        };
        let all: &[(&str, &Path)] =
            &[("MCPRING_CONFIG", Path::new("m.toml")), ("XDG_CONFIG_HOME", &xdg), ("HOME", &home)];
        let found = [
            find(Some("n.toml"), all).unwrap(),
            find(None, all).unwrap(),
            find(None, &all[1..]).unwrap(),
            find(None, &all[2..]).unwrap(),
            find(None, &[("MCPRING_CONFIG", Path::new("")), ("HOME", &home)]).unwrap(),
        ];
        let none = find(None, &[("HOME", &scratch)]);
        std::fs::remove_dir_all(&scratch).unwrap();
        let in_home = home.join(".config/mcpring/mcpring.toml").display().to_string();
        let in_xdg = xdg.join("mcpring/mcpring.toml").display().to_string();
        assert_eq!(found, ["n.toml", "m.toml", &in_xdg, &in_home, &in_home]);
        if let Err(problems) = none {
            let text = problems.to_string();
            assert!(text.contains("looked for mcpring.toml, ") && text.contains("--config FILE"), "{text}");
        }
    }
}
