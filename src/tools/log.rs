//! Log messages of a running call, for whoever watches the client.
//! Never: a secret; the client and its logs may see every word.
//! Next: `context`, which carries them.

/// How severe a message is, RFC 5424 6.2.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum LogLevel {
    /// For who looks for a fault.
    Debug,
    /// What goes on.
    Info,
    /// Normal, yet worth a word.
    Notice,
    /// May become a fault.
    Warning,
    /// Something failed.
    Error,
    /// A part has failed.
    Critical,
    /// Someone must act now.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// All, least severe first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }

    /// The level of that word.
    pub fn decode(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == word)
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMessage {
    /// How severe.
    pub level: LogLevel,
    /// Which part of the server speaks.
    pub logger: Option<String>,
    /// Any JSON value, as text.
    pub data: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_named_and_ordered_by_severity() {
        for pair in LogLevel::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for level in LogLevel::ALL {
            assert_eq!(LogLevel::decode(level.name()), Some(level));
        }
        assert_eq!(LogLevel::decode("Warning"), None);
        assert_eq!(LogLevel::decode("verbose"), None);
    }
}
