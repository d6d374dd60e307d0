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
    /// The resources a caller may read.
    ResourcesList,
    /// The families of resources a caller may read.
    TemplatesList,
    /// Reads a resource.
    ResourcesRead,
    /// The prompts a caller may use.
    PromptsList,
    /// Fills a prompt in.
    PromptsGet,
    /// Proposes values for an argument.
    Complete,
    /// Asks to be told of changes (modern).
    Listen,
    /// How a task stands (modern).
    TasksGet,
    /// Answers what a task has asked (modern).
    TasksUpdate,
    /// Gives up on a task (modern).
    TasksCancel,
    /// The legacy handshake.
    Initialize,
    /// Legacy keep-alive.
    Ping,
    /// The least severe log message that is wanted (legacy).
    SetLevel,
    /// Asks to be told of a resource's changes (legacy).
    Subscribe,
    /// Takes that back (legacy).
    Unsubscribe,
    /// The client has read the handshake's answer.
    Initialized,
    /// The client gives up on a request.
    Cancelled,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Discover,
        Self::ToolsList,
        Self::ToolsCall,
        Self::ResourcesList,
        Self::TemplatesList,
        Self::ResourcesRead,
        Self::PromptsList,
        Self::PromptsGet,
        Self::Complete,
        Self::Listen,
        Self::TasksGet,
        Self::TasksUpdate,
        Self::TasksCancel,
        Self::Initialize,
        Self::Ping,
        Self::SetLevel,
        Self::Subscribe,
        Self::Unsubscribe,
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
            Self::ResourcesList => "resources/list",
            Self::TemplatesList => "resources/templates/list",
            Self::ResourcesRead => "resources/read",
            Self::PromptsList => "prompts/list",
            Self::PromptsGet => "prompts/get",
            Self::Complete => "completion/complete",
            Self::Listen => "subscriptions/listen",
            Self::TasksGet => "tasks/get",
            Self::TasksUpdate => "tasks/update",
            Self::TasksCancel => "tasks/cancel",
            Self::Initialize => "initialize",
            Self::Ping => "ping",
            Self::SetLevel => "logging/setLevel",
            Self::Subscribe => "resources/subscribe",
            Self::Unsubscribe => "resources/unsubscribe",
            Self::Initialized => "notifications/initialized",
            Self::Cancelled => "notifications/cancelled",
        }
    }

    /// Whether a request of that era may use it. Notifications are not requests.
    pub fn is_request_in(self, era: Era) -> bool {
        match self {
            Self::Discover | Self::Listen | Self::TasksGet | Self::TasksUpdate | Self::TasksCancel => {
                era == Era::Modern
            }
            Self::ToolsList
            | Self::ToolsCall
            | Self::ResourcesList
            | Self::TemplatesList
            | Self::ResourcesRead
            | Self::PromptsList
            | Self::PromptsGet
            | Self::Complete => true,
            Self::Initialize | Self::Ping | Self::SetLevel | Self::Subscribe | Self::Unsubscribe => {
                era == Era::Legacy
            }
            Self::Initialized | Self::Cancelled => false,
        }
    }

    /// The member of `params` that `Mcp-Name` repeats.
    // MCP 2026-07-28, Streamable HTTP, request headers; the tasks extension adds its own.
    pub fn named_by(self) -> Option<&'static str> {
        match self {
            Self::ToolsCall | Self::PromptsGet => Some("name"),
            Self::ResourcesRead => Some("uri"),
            Self::TasksGet | Self::TasksUpdate | Self::TasksCancel => Some("taskId"),
            Self::Discover
            | Self::ToolsList
            | Self::ResourcesList
            | Self::TemplatesList
            | Self::PromptsList
            | Self::Complete
            | Self::Listen
            | Self::Initialize
            | Self::Ping
            | Self::SetLevel
            | Self::Subscribe
            | Self::Unsubscribe
            | Self::Initialized
            | Self::Cancelled => None,
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
