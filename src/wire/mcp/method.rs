//! The methods this server knows, and in which era each may be used.
//! Next: `pipeline/dispatch.rs`, which runs them.

use super::Era;

/// A client-to-server method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// What the server is and offers (modern).
    Discover,
    /// The tools a caller may use.
    ToolsList,
    /// Runs a tool.
    ToolsCall,
    /// The legacy handshake.
    Initialize,
    /// Legacy keep-alive.
    Ping,
    /// The client has read the handshake's answer.
    Initialized,
    /// The client gives up on a request.
    Cancelled,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Discover,
        Self::ToolsList,
        Self::ToolsCall,
        Self::Initialize,
        Self::Ping,
        Self::Initialized,
        Self::Cancelled,
    ];

    /// The method of that name.
    pub fn decode(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// As it stands in a message.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discover => "server/discover",
            Self::ToolsList => "tools/list",
            Self::ToolsCall => "tools/call",
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
        }
    }

    /// Whether a request of that era may use it. Notifications are not requests.
    pub fn is_request_in(self, era: Era) -> bool {
        match self {
            Self::Discover => era == Era::Modern,
            Self::ToolsList | Self::ToolsCall => true,
            Self::Initialize | Self::Ping => era == Era::Legacy,
            Self::Initialized | Self::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_and_eras_are_kept_apart() {
        for method in Method::ALL {
            assert_eq!(Method::decode(method.name()), Some(method));
        }
        assert_eq!(Method::decode("tools/Call"), None);
        assert!(!Method::Ping.is_request_in(Era::Modern));
        assert!(!Method::Discover.is_request_in(Era::Legacy));
        assert!(!Method::Initialized.is_request_in(Era::Legacy));
    }
}
