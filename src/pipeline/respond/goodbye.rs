//! Why a connection ends, and what a WebSocket peer is told of it (RFC 6455 7.4.1).
//! Next: `mod.rs`, which writes it.

/// Why a connection that carries everything ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goodbye {
    /// The peer has said goodbye, or nothing is left to say.
    #[default]
    Done,
    /// The server stops, or the connection was idle too long.
    GoingAway,
    /// The peer broke the rules of its transport, as this code says.
    Fault(u16),
    /// Its principal may not be here any more, or it could not say who it is.
    Forbidden,
    /// It read too slowly, or there is no room for it.
    Overloaded,
}

/// What a code means here; a developer sees nothing else of it.
fn words(code: u16) -> &'static str {
    match code {
        1002 => "breaks RFC 6455",
        1003 => "text frames only",
        1007 => "not UTF-8",
        1008 => "too many fragments",
        1009 => "frame or message too long",
        _ => "",
    }
}

impl Goodbye {
    /// The close code and a reason in words.
    pub fn close_code(self) -> (u16, &'static str) {
        match self {
            Self::Done => (1000, ""),
            Self::GoingAway => (1001, "going away"),
            Self::Fault(code) => (code, words(code)),
            Self::Forbidden => (1008, "not allowed any more"),
            Self::Overloaded => (1013, "try again later"),
        }
    }
}
