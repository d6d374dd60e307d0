//! Resources by pattern: `notes://{topic}/{page}`.
//! Never: a value that leaves its segment; `..`, and a `/` hidden as `%2F`, match nothing.
//! Next: `pattern`, how a URI is matched.

use std::future::Future;
use std::time::Duration;

use super::action::Action;
use super::call::Subject;
use super::completions::{self, Arguments, Completer, Completions};
use super::pattern::Pattern;
use super::resource::{CacheScope, Traits, reply};
use super::words::Icon;
use super::{Annotations, Contents, Context, ToolError};

/// The variables of a template and what they stand for, in order.
pub type Bindings = Vec<(String, String)>;

/// What the variables of a template stand for in one URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: Bindings,
}

impl Variables {
    /// The value of a variable; empty for a name that is not in the template.
    pub fn text(&self, name: &str) -> &str {
        self.values.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }

    /// All, in the order of the template.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Resources that a client may read, under URIs of one shape.
///
/// `{x}` stands for one segment, `{+x}` for any number of them; both are decoded from `%41` and the like, and neither is
/// ever empty or contains a segment `..`.
///
/// ```
/// use mcpring::tools::{Contents, ResourceTemplate, ToolError};
///
/// let notes = ResourceTemplate::new("notes://{topic}", "notes", "text/plain", |variables, _| async move {
///     match variables.text("topic") {
///         "rings" => Ok(Contents::text("Rings are round.")),
///         _ => Err(ToolError::not_found()),
///     }
/// })
/// .complete("topic", |_, _| vec!["rings".to_owned()]);
/// ```
pub struct ResourceTemplate {
    pattern: Pattern,
    traits: Traits,
    action: Action,
    completers: Vec<Completer>,
}

impl ResourceTemplate {
    /// Resources of the shape `uri_template`, each read by `function`.
    pub fn new<F>(
        uri_template: &str,
        name: &str,
        mime: &str,
        function: impl Fn(Variables, Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Contents, ToolError>> + 'static,
    {
        let own_mime = mime.to_owned();
        let action = Action::deferred(move |call, context| {
            let Subject::Resource { uri, variables } = call.subject() else {
                return Err(ToolError::internal("a resource was called for something else"));
            };
            let (uri, mime) = (uri.to_owned(), own_mime.clone());
            let reading = function(Variables { values: variables.to_vec() }, context);
            Ok(async move { reading.await.map(|contents| reply(&contents, &uri, &mime)) })
        });
        Self {
            pattern: Pattern::new(uri_template),
            traits: Traits::new(name, mime),
            action,
            completers: Vec::new(),
        }
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.traits.words.title = Some(title.to_owned());
        self
    }

    /// What they are, for a model.
    #[must_use]
    pub fn description(mut self, description: &str) -> Self {
        self.traits.words.description = Some(description.to_owned());
        self
    }

    /// A picture for people.
    #[must_use]
    pub fn icon(mut self, icon: Icon) -> Self {
        self.traits.words.icons.push(icon);
        self
    }

    /// Hints on who should see them.
    #[must_use]
    pub fn annotations(mut self, annotations: Annotations) -> Self {
        self.traits.annotations = Some(annotations);
        self
    }

    /// How long an answer may be kept, and by whom.
    #[must_use]
    pub fn cache(mut self, lifetime: Duration, scope: CacheScope) -> Self {
        self.traits.cache = Some((lifetime, scope));
        self
    }

    /// Suggests values for a variable: from what was typed so far, and from the variables that are known already.
    #[must_use]
    pub fn complete<C: Into<Completions>>(
        mut self,
        variable: &str,
        suggest: impl Fn(&str, &Arguments) -> C + Send + Sync + 'static,
    ) -> Self {
        self.completers.push(Completer::new(variable, suggest));
        self
    }

    /// Their shape.
    pub fn uri_template(&self) -> &str {
        self.pattern.text()
    }

    /// Their name.
    pub fn name(&self) -> &str {
        &self.traits.words.name
    }

    /// How long an answer may be kept, and by whom; none leaves it to the server.
    pub fn cache_hint(&self) -> Option<(Duration, CacheScope)> {
        self.traits.cache
    }

    pub(crate) fn action(&self) -> &Action {
        &self.action
    }

    /// What suggests values for that variable.
    pub(crate) fn completer(&self, argument: &str) -> Option<&Action> {
        completions::find(&self.completers, argument)
    }

    /// Whether anything suggests values.
    pub(crate) fn has_completers(&self) -> bool {
        !self.completers.is_empty()
    }

    /// What the variables stand for in `uri`, when it is of this shape.
    pub(super) fn matches(&self, uri: &str) -> Option<Bindings> {
        self.pattern.matches(uri)
    }

    /// Why it can not be registered.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(problem) = self.pattern.problem() {
            return Some(problem.to_owned());
        }
        let unknown = self.completers.iter().find(|completer| !self.pattern.names(&completer.argument))?;
        Some(format!("there are suggestions for {:?}, which is no variable of it", unknown.argument))
    }

    pub(super) fn listing(&self) -> Vec<u8> {
        self.traits.list("uriTemplate", self.pattern.text(), None)
    }
}
