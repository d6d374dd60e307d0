//! Questions a running call puts to the client: what can be asked, what the client must offer for it, what may go wrong.
//! How a question travels (a request of the server, or a result that asks for a retry) is the pipeline's affair.
//! Next: `context`, where authors ask; `elicit` and `sampling` for the answers.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// What a client may offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Capability {
    /// It shows a form to the user.
    ElicitationForm,
    /// It opens an address for the user.
    ElicitationUrl,
    /// It asks its model.
    Sampling,
    /// It asks its model, which may call tools meanwhile.
    SamplingTools,
    /// It tells which folders it works in.
    Roots,
    /// It follows calls that outlive their request.
    Tasks,
}

impl Capability {
    /// All, in the order of their bits.
    pub const ALL: [Self; 6] = [
        Self::ElicitationForm,
        Self::ElicitationUrl,
        Self::Sampling,
        Self::SamplingTools,
        Self::Roots,
        Self::Tasks,
    ];

    /// The words for it in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ElicitationForm => "elicitation by form",
            Self::ElicitationUrl => "elicitation by URL",
            Self::Sampling => "sampling",
            Self::SamplingTools => "sampling with tools",
            Self::Roots => "roots",
            Self::Tasks => "tasks",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::ElicitationForm => 1,
            Self::ElicitationUrl => 2,
            Self::Sampling => 4,
            Self::SamplingTools => 8,
            Self::Roots => 16,
            Self::Tasks => 32,
        }
    }
}

/// A set of [`Capability`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Capabilities(u8);

impl Capabilities {
    /// This set and `capability`.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | capability.bit())
    }

    /// Whether `capability` is in the set.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// The set as a number, for carrying it elsewhere.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set that [`Self::bits`] gave; unknown bits are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 63)
    }

    /// What is in the set.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(move |capability| self.has(*capability))
    }

    /// What of this set `offered` lacks.
    #[must_use]
    pub const fn without(self, offered: Self) -> Self {
        Self(self.0 & !offered.0)
    }
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The user fills in a form.
    Form {
        /// What for.
        message: String,
        /// JSON Schema of the form: a flat object.
        schema: String,
    },
    /// The user opens an address.
    Url {
        /// What for.
        message: String,
        /// The address.
        url: String,
    },
    /// The client's model writes a message.
    Sample {
        /// The params of `sampling/createMessage`, JSON.
        params: String,
    },
    /// The client lists its roots.
    Roots,
}

impl Ask {
    /// What the client must offer to be asked this.
    pub(crate) fn capability(&self) -> Capability {
        #[derive(Deserialize)]
        struct Tools {
            #[serde(default)]
            tools: Option<IgnoredAny>,
        }
        match self {
            Self::Form { .. } => Capability::ElicitationForm,
            Self::Url { .. } => Capability::ElicitationUrl,
            Self::Sample { params } => match serde_json::from_str::<Tools>(params) {
                Ok(Tools { tools: Some(_) }) => Capability::SamplingTools,
                Ok(Tools { tools: None }) | Err(_) => Capability::Sampling,
            },
            Self::Roots => Capability::Roots,
        }
    }
}

/// JSON of the client's result, or why there is none.
pub(crate) type Answer = Result<Vec<u8>, AskError>;

/// Why a question has no answer. Turns into a [`super::ToolError`] with `?`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The client does not offer it.
    #[error("the client does not offer {}", .0.name())]
    Unsupported(Capability),
    /// The user said no.
    #[error("the user declined")]
    Declined,
    /// The user went away without saying yes or no.
    #[error("the user cancelled")]
    Cancelled,
    /// The answer is not of the shape that was asked for.
    #[error("the answer is malformed: {0}")]
    Invalid(String),
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    TimedOut,
    /// The client answered with a JSON-RPC error.
    #[error("the client refused: {message}")]
    Refused {
        /// Its code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// The question itself is at fault.
    #[error("this can not be asked: {0}")]
    Unaskable(String),
    /// The call asks more than it may.
    #[error("too many questions in one call")]
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = Capabilities::default();
        for capability in Capability::ALL {
            assert!(!set.has(capability));
            set = set.with(capability);
            assert!(set.has(capability));
            assert_eq!(Capabilities::from_bits(set.bits()), set);
        }
        assert_eq!(Capabilities::from_bits(255), set);
        assert_eq!(set.iter().count(), 6);
        let roots = Capabilities::default().with(Capability::Roots);
        assert!(!set.without(roots).has(Capability::Roots));
        assert_eq!(roots.without(set), Capabilities::default());
    }

    #[test]
    fn a_question_needs_what_it_uses() {
        let sample = |params: &str| Ask::Sample { params: params.into() };
        for (ask, expect) in [
            (Ask::Form { message: String::new(), schema: String::new() }, Capability::ElicitationForm),
            (Ask::Url { message: String::new(), url: String::new() }, Capability::ElicitationUrl),
            (sample(r#"{"messages":[{"tools":1}],"maxTokens":1}"#), Capability::Sampling),
            (sample(r#"{"tools":[]}"#), Capability::SamplingTools),
            (Ask::Roots, Capability::Roots),
        ] {
            assert_eq!(ask.capability(), expect, "{ask:?}");
        }
    }
}
