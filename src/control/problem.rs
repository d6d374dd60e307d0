//! What stands in the way of starting or reloading, in the words an operator can act on: a code, what is
//! wrong, facts, and what to type next. All problems of one attempt are collected, not the first only.
//! Never: a secret, a panic message.
//! Next: `process`, which prints them and chooses the exit code.

use std::fmt;

/// Whether the process can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It can not.
    Error,
    /// It can, with less than was asked for.
    Warning,
}

/// The exit code an error leads to, after sysexits.h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 78: the configuration is refused.
    Configuration,
    /// 77: the system does not permit it.
    Permission,
    /// 69: something needed is not available, such as a port.
    Unavailable,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Configuration => 78,
            Self::Permission => 77,
            Self::Unavailable => 69,
        }
    }
}

/// One problem; `Display` gives the whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Error or warning.
    pub severity: Severity,
    /// A stable code such as `E0401`.
    pub code: &'static str,
    /// One sentence.
    pub what: String,
    /// Facts, one a line.
    pub notes: Vec<String>,
    /// What to do, one way a line.
    pub help: Vec<String>,
    /// The exit code if this is an error.
    pub exit: Exit,
}

impl Problem {
    /// An error that is the configuration's (exit 78) unless [`Problem::exit`] says otherwise.
    pub fn error(code: &'static str, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            what: what.into(),
            notes: Vec::new(),
            help: Vec::new(),
            exit: Exit::Configuration,
        }
    }

    /// A warning.
    pub fn warning(code: &'static str, what: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, what) }
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds something to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Sets the exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(out, "{word}[{}]: {}", self.code, self.what)?;
        for note in &self.notes {
            write!(out, "\n  {note}")?;
        }
        for help in &self.help {
            write!(out, "\n   = help: {help}")?;
        }
        Ok(())
    }
}

/// The exit code of a failed start: a refused configuration outranks a missing permission, which outranks
/// something unavailable, because that is the order in which they have to be mended.
pub fn exit_code(problems: &[Problem]) -> u8 {
    problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| problem.exit.code())
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_a_problem_with_its_facts_and_help() {
        let problem = Problem::error("E0401", "cannot listen on [::]:8443")
            .note("held by nginx (pid 812)")
            .help("stop it")
            .help("or change the address");
        assert_eq!(
            problem.to_string(),
            "error[E0401]: cannot listen on [::]:8443\n  held by nginx (pid 812)\n   = help: stop it\n   = help: or change the address"
        );
        assert!(Problem::warning("W0410", "x").to_string().starts_with("warning[W0410]: x"));
    }

    #[test]
    fn exits_with_the_code_to_mend_first() {
        let of = |exits: &[Exit]| {
            exit_code(&exits.iter().map(|&exit| Problem::error("E1", "x").exit(exit)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[Exit::Unavailable, Exit::Permission]), 77);
        assert_eq!(of(&[Exit::Unavailable, Exit::Configuration, Exit::Permission]), 78);
        assert_eq!(of(&[Exit::Unavailable]), 69);
        assert_eq!(exit_code(&[Problem::warning("W1", "x")]), 0);
    }
}
