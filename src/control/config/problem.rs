//! What is wrong with a configuration: a stable code, a place, a message, and what to type instead.
//! Never: the content of a secret.
//! Next: `report`, which collects problems; `render`, which shows them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::tree::Place;
use super::{render, report};

/// Whether the configuration can be used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It can not.
    Error,
    /// It can, and somebody should look at it.
    Warning,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// What stands at the caret.
    pub(super) label: String,
    pub(super) place: Option<Place>,
    pub(super) notes: Vec<String>,
    pub(super) help: Vec<String>,
}

impl Problem {
    /// A problem at a place, or at none.
    pub(super) fn new(code: Code, place: Option<Place>, message: impl Into<String>) -> Self {
        Self {
            code: code.id(),
            message: message.into(),
            label: String::new(),
            place,
            notes: vec![],
            help: vec![],
        }
    }

    /// What stands at the caret.
    pub(super) fn label(&mut self, label: impl Into<String>) -> &mut Self {
        self.label = label.into();
        self
    }

    /// A further fact.
    pub(super) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// What to type.
    pub(super) fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help.push(help.into());
        self
    }

    /// Its code, for example `E0101`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// By the first letter of its code.
    pub fn severity(&self) -> Severity {
        if self.code.starts_with('E') { Severity::Error } else { Severity::Warning }
    }

    /// The first line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to type instead.
    pub fn advice(&self) -> &[String] {
        &self.help
    }
}

/// What is said of a server without built-in tools.
pub(super) const NOTHING_SERVED: &str = "no tool is served";

/// A text that problems point into.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path of a file, or `--set`.
    pub(super) name: String,
    pub(super) text: String,
}

/// All problems of one run, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    pub(super) sources: Arc<[Source]>,
    pub(super) places: Arc<BTreeMap<String, Place>>,
    pub(super) list: Vec<Problem>,
}

/// What another part of the program has found wrong with a setting, such as a certificate that has expired.
#[derive(Clone, Debug)]
pub struct Finding {
    /// A stable code; `E...` is an error, `W...` a warning.
    pub code: &'static str,
    /// The setting, for example `tls.public.certificates[0].cert_file`.
    pub setting: String,
    /// One sentence.
    pub message: String,
    /// Facts.
    pub notes: Vec<String>,
    /// What to type.
    pub help: Vec<String>,
}

/// Whether text carries escape sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// As on a terminal.
    Styled,
    /// As in a file.
    Plain,
}

impl Problems {
    /// Problems that point into no text.
    pub(super) fn without_source(list: Vec<Problem>) -> Self {
        Self { list, ..Self::default() }
    }

    /// Adds what was found after loading, at the place of the setting.
    pub fn add(&mut self, finding: Finding) {
        let Finding { code, setting, message, notes, help } = finding;
        let place = report::nearest_place(&self.places, &setting);
        self.list.push(Problem { code, message, label: String::new(), place, notes, help });
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }

    /// How many are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|problem| problem.severity() == severity).count()
    }

    /// Forgets what is only amiss where nothing but the built-in tools is offered: the program has its own.
    pub fn excuse_empty_native(&mut self) {
        let is_excused = |problem: &Problem| {
            problem.message == NOTHING_SERVED || problem.code == Code::NothingMatched.id()
        };
        self.list.retain(|problem| !is_excused(problem));
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a permission is all that is wrong.
    pub fn is_permission_only(&self) -> bool {
        let errors = || self.list.iter().filter(|problem| problem.severity() == Severity::Error);
        errors().count() > 0
            && errors().all(|problem| [Code::SecretOpen.id(), Code::TrustOpen.id()].contains(&problem.code))
    }

    /// The frames people read, one after another, each with file, line, caret and help.
    pub fn to_text(&self, colour: Colour) -> String {
        render::text(self, colour)
    }

    /// `[{code, severity, message, file, line, column, help}]`; lines and columns count from 1.
    pub fn to_json(&self) -> serde_json::Value {
        render::json(self)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(Colour::Plain))
    }
}

impl std::error::Error for Problems {}

/// Declares the codes once: variant, number, meaning.
macro_rules! codes {
    ($($variant:ident = $id:literal, $meaning:literal;)*) => {
        /// The stable code of a problem. `E` codes refuse the configuration, `W` codes warn.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $meaning] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As written, for example `E0101`.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// One sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

codes! {
    Syntax = "E0100", "The text is not TOML.";
    UnknownKey = "E0101", "No setting has this name.";
    WrongType = "E0102", "The value has the wrong type.";
    UnknownWord = "E0103", "The value is none of the words that are allowed.";
    OutOfRange = "E0104", "The value is too small, too large, too short or too long.";
    Missing = "E0105", "A key that is required is absent.";
    Malformed = "E0106", "The text is not in the form that is needed.";
    NotRead = "E0107", "The setting is known but nothing in this version reads it.";
    NoMeaning = "E0108", "The setting comes from other servers and has no meaning here.";
    BadOverride = "E0109", "An argument of --set can not be read.";
    NoFile = "E0110", "The configuration file can not be read.";
    NoListener = "E0201", "There is no listener.";
    SameAddress = "E0202", "Two listeners have the same address.";
    NoSuchProfile = "E0203", "A listener names a TLS profile that is not defined.";
    NoSuchRole = "E0204", "A role is named that is not defined.";
    NoSuchTool = "E0205", "A native tool is named that does not exist.";
    NoApiKeys = "E0207", "Callers must authenticate with an API key, but there is no [auth.api_key].";
    NoMethod = "E0208", "Callers must authenticate, but the listener accepts no way to do so.";
    Contradiction = "E0209", "Two settings contradict each other.";
    BadPattern = "E0210", "The pattern of a role can not be read.";
    Tls12NotAllowed = "E0211", "TLS 1.2 needs allow_tls12 = true.";
    NoHostnames = "E0212", "A listener on the network knows no host name.";
    OneOf = "E0213", "Exactly one of some keys must be written.";
    BadCondition = "E0214", "The condition of a role can not be read.";
    CircleOfRoles = "E0215", "A role inherits itself.";
    OtherKind = "E0216", "A listener has a setting that its kind does not read.";
    NoIssuer = "E0220", "Callers may authenticate with tokens, but no issuer is defined.";
    NoTarget = "E0217", "A redirect listener has no https URL to send callers to.";
    NoClientAuth = "E0218", "Callers are let in by certificates, but the TLS profile asks for none.";
    SecretOpen = "E0320", "The group of a secret file, or everyone, has access to it.";
    NotAFile = "E0321", "What the configuration names is not a regular file.";
    FileUnreadable = "E0323", "A file that the configuration names can not be read.";
    TrustOpen = "E0324", "Everyone may change a file that says who is trusted.";
    NoSuchCpu = "E0330", "A CPU is named that this process may not use.";
    NoSecret = "E0350", "A secret is not where the configuration says.";
    ShortSecret = "E0351", "A secret is too short.";
    AnonymousNetwork = "E0501", "Callers without a credential could come from the network.";
    PlaintextNetwork = "E0503", "Requests and keys could cross the network unencrypted.";
    Tls12Allowed = "W0211", "A TLS profile accepts TLS 1.2.";
    Unused = "W0214", "Something is defined that nothing uses.";
    NothingCallable = "W0215", "No caller may do anything.";
    NoSuchMethod = "W0216", "The pattern of a role names no method.";
    NothingMatched = "W0217", "The pattern of a role matches nothing that is offered.";
    NoMetadata = "W0219", "Clients are not told where to get a token.";
    NameShared = "W0220", "Two authorities may certify the same client.";
    RevocationWeak = "W0218", "A client is let in although its certificate may be revoked.";
    TrustShared = "W0324", "A group may change a file that says who is trusted.";
    CpusShared = "W0331", "There are more shards than CPUs.";
    AnonymousAllowed = "W0501", "Callers without a credential are let in from the network.";
    PlaintextAllowed = "W0503", "Requests and keys may cross the network unencrypted.";
    NoHeaders = "W0505", "Responses carry no security headers.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
