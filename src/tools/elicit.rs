//! Asking the user: a form or an address to open, and what came of it.
//! Next: `form` for the schema of a form, `sampling` for asking the model.

use std::future::Future;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::ask::{Ask, AskError};
use super::schema::Schema;
use super::{Context, form};

/// What the user did with a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elicited<T> {
    /// Answered it.
    Accepted(T),
    /// Said no.
    Declined,
    /// Closed it without a choice.
    Cancelled,
}

impl<T> Elicited<T> {
    /// The answer, or an error that tells the model that there is none.
    ///
    /// # Errors
    /// [`AskError::Declined`] or [`AskError::Cancelled`].
    pub fn accepted(self) -> Result<T, AskError> {
        match self {
            Self::Accepted(answer) => Ok(answer),
            Self::Declined => Err(AskError::Declined),
            Self::Cancelled => Err(AskError::Cancelled),
        }
    }
}

/// MCP 2026-07-28, elicitation: the client's result.
#[derive(Deserialize)]
struct Outcome<'a> {
    action: Action,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Accept,
    Decline,
    Cancel,
}

/// A folder or file the client works in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// Where it is, `file://` today.
    pub uri: String,
    /// A name for people.
    #[serde(default)]
    pub name: Option<String>,
}

impl Context {
    /// Asks the user to fill in a form. `T` is a flat struct: strings, numbers, booleans, enums without data, lists of
    /// such enums, each optional if need be. `key` is the author's name for the question, unique in the call.
    ///
    /// The same call works for every client: where the server may not ask, the client is told to ask and the call is run
    /// again from its start with the answer, so that this returns at once. What comes before must be harmless to repeat,
    /// or be kept with [`Context::remember`]. Never ask for a secret: use [`Context::elicit_url`].
    ///
    /// # Errors
    /// An [`AskError`], which `?` turns into what the client must be told.
    pub fn elicit<T: JsonSchema + DeserializeOwned>(
        &self,
        key: &str,
        message: &str,
    ) -> impl Future<Output = Result<Elicited<T>, AskError>> + use<T> {
        let schema = schemars::SchemaGenerator::new(form::settings()).into_root_schema_for::<T>();
        let own = serde_json::Value::from(schema);
        let asked = form::flatten(&own).map(|flat| {
            let ask = Ask::Form { message: message.to_owned(), schema: flat.to_string() };
            (self.ask(key, ask), own)
        });
        async move {
            let (answer, own) = asked.map_err(AskError::Unaskable)?;
            read_form(&answer.await?, &own)
        }
    }

    /// Asks the user to open `url`, where something happens that must not pass through the client: a login, a payment.
    /// Accepted means that the user agreed to open it, not that what is there is done. The page must check that who opens
    /// it is who called.
    ///
    /// # Errors
    /// An [`AskError`].
    pub fn elicit_url(
        &self,
        key: &str,
        message: &str,
        url: &str,
    ) -> impl Future<Output = Result<Elicited<()>, AskError>> + use<> {
        let answer = self.ask(key, Ask::Url { message: message.to_owned(), url: url.to_owned() });
        async move {
            Ok(match outcome(&answer.await?)?.action {
                Action::Accept => Elicited::Accepted(()),
                Action::Decline => Elicited::Declined,
                Action::Cancel => Elicited::Cancelled,
            })
        }
    }

    /// The folders the client works in.
    ///
    /// # Errors
    /// An [`AskError`].
    pub fn roots(&self, key: &str) -> impl Future<Output = Result<Vec<Root>, AskError>> + use<> {
        #[derive(Deserialize)]
        struct Listed {
            roots: Vec<Root>,
        }
        let answer = self.ask(key, Ask::Roots);
        async move {
            let listed: Listed = serde_json::from_slice(&answer.await?).map_err(malformed)?;
            Ok(listed.roots)
        }
    }
}

fn outcome(json: &[u8]) -> Result<Outcome<'_>, AskError> {
    serde_json::from_slice(json).map_err(malformed)
}

fn read_form<T: DeserializeOwned>(json: &[u8], schema: &serde_json::Value) -> Result<Elicited<T>, AskError> {
    let outcome = outcome(json)?;
    match outcome.action {
        Action::Decline => Ok(Elicited::Declined),
        Action::Cancel => Ok(Elicited::Cancelled),
        Action::Accept => {
            let content = outcome.content.map_or("{}", RawValue::get);
            let schema =
                Schema::compile(&schema.to_string()).map_err(|error| AskError::Unaskable(error.0))?;
            schema.check_text(content.as_bytes()).map_err(AskError::Invalid)?;
            serde_json::from_str(content).map(Elicited::Accepted).map_err(malformed)
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub(super) fn malformed(error: serde_json::Error) -> AskError {
    AskError::Invalid(error.to_string())
}
