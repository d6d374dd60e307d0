//! Prompts: messages a user picks by name and fills in.
//! Next: `messages` for what they give, `completions` for suggestions.

use std::future::Future;

use super::action::Action;
use super::completions::{self, Arguments, Completer, Completions};
use super::words::{Icon, Object, Words};
use super::{Context, Messages, Reply, ToolError};

/// A prompt.
///
/// ```
/// use mcpring::tools::{Messages, Prompt};
///
/// let review = Prompt::new("review", "Asks for a review.")
///     .argument("language", "What the code is written in.", true)
///     .complete("language", |typed, _| {
///         ["rust", "ruby"].into_iter().filter(|known| known.starts_with(typed)).map(String::from).collect::<Vec<_>>()
///     })
///     .get(|arguments, _| async move {
///         Ok(Messages::new().user(&format!("Review this {} code.", arguments.text("language"))))
///     });
/// ```
pub struct Prompt {
    words: Words,
    arguments: Vec<Argument>,
    completers: Vec<Completer>,
    action: Action,
    /// How many arguments there were when the function was given, which checks them.
    checked: Option<usize>,
}

struct Argument {
    name: String,
    description: String,
    is_required: bool,
}

impl Prompt {
    /// A prompt without arguments or messages; [`Prompt::get`] gives it these.
    pub fn new(name: &str, description: &str) -> Self {
        Self {
            words: Words::new(name, description),
            arguments: Vec::new(),
            completers: Vec::new(),
            action: Action::immediate(|_, _| Ok(())),
            checked: None,
        }
    }

    /// What it gives. Required arguments are there; others may be absent. Comes after the arguments.
    #[must_use]
    pub fn get<F>(mut self, function: impl Fn(Arguments, Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Messages, ToolError>> + 'static,
    {
        self.checked = Some(self.arguments.len());
        let required: Vec<String> = self
            .arguments
            .iter()
            .filter(|argument| argument.is_required)
            .map(|argument| argument.name.clone())
            .collect();
        self.action = Action::deferred(move |call, context| {
            let arguments = Arguments::read(call)?;
            if let Some(missing) = required.iter().find(|name| arguments.value(name).is_none()) {
                return Err(ToolError::invalid_params(format!("argument {missing:?} is required")));
            }
            let filling = function(arguments, context);
            Ok(async move {
                let mut reply = Reply::new();
                filling.await?.fill(&mut reply);
                Ok(reply)
            })
        });
        self
    }

    /// What it gives, when that never changes.
    #[must_use]
    pub fn fixed(mut self, messages: Messages) -> Self {
        self.checked = None;
        self.action = Action::immediate(move |_, reply| {
            messages.clone().fill(reply);
            Ok(())
        });
        self
    }

    /// Another argument.
    #[must_use]
    pub fn argument(mut self, name: &str, description: &str, is_required: bool) -> Self {
        self.arguments.push(Argument {
            name: name.to_owned(),
            description: description.to_owned(),
            is_required,
        });
        self
    }

    /// Suggests values for an argument: from what was typed so far, and from the arguments that are known already.
    #[must_use]
    pub fn complete<C: Into<Completions>>(
        mut self,
        argument: &str,
        suggest: impl Fn(&str, &Arguments) -> C + Send + Sync + 'static,
    ) -> Self {
        self.completers.push(Completer::new(argument, suggest));
        self
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.words.title = Some(title.to_owned());
        self
    }

    /// A picture for people.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.words.icons.push(icon);
        self
    }

    /// The name clients ask for.
    pub fn name(&self) -> &str {
        &self.words.name
    }

    /// What it is for.
    pub fn description(&self) -> &str {
        self.words.description.as_deref().unwrap_or_default()
    }

    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    /// The first required argument that `is_given` denies.
    pub(crate) fn missing_argument(&self, is_given: impl Fn(&str) -> bool) -> Option<&str> {
        let mut required = self.arguments.iter().filter(|argument| argument.is_required);
        required.find(|argument| !is_given(&argument.name)).map(|argument| argument.name.as_str())
    }

    /// What suggests values for that argument.
    pub(crate) fn completer(&self, argument: &str) -> Option<&Action> {
        completions::find(&self.completers, argument)
    }

    /// Whether anything suggests values.
    pub(crate) fn has_completers(&self) -> bool {
        !self.completers.is_empty()
    }

    /// Why it can not be registered.
    pub(super) fn problem(&self) -> Option<String> {
        let mut seen = self.arguments.iter().enumerate();
        let twice = seen.find(|(at, one)| self.arguments.iter().skip(at + 1).any(|two| one.name == two.name));
        if let Some((_, argument)) = twice {
            return Some(format!("the argument {:?} stands twice", argument.name));
        }
        if self.checked.is_some_and(|checked| checked != self.arguments.len()) {
            return Some("declare all arguments before `get`".into());
        }
        let known = |name: &str| self.arguments.iter().any(|argument| argument.name == name);
        let unknown = self.completers.iter().find(|completer| !known(&completer.argument))?;
        Some(format!("there are suggestions for {:?}, which is no argument of it", unknown.argument))
    }

    pub(super) fn listing(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text("name", &self.words.name);
        self.words.encode(&mut object);
        if !self.arguments.is_empty() {
            object.list("arguments", &self.arguments, |out, argument| {
                let mut inner = Object::open(out);
                inner.text("name", &argument.name);
                let words = Some(argument.description.as_str()).filter(|words| !words.is_empty());
                inner.text_if("description", words);
                inner.flag_if("required", Some(argument.is_required));
                inner.close();
            });
        }
        object.close();
        out
    }
}
