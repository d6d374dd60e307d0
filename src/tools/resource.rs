//! Resources with a fixed URI: what they say of themselves and how they are read.
//! Next: `template` for resources by pattern.

use std::future::Future;
use std::time::Duration;

use super::action::Action;
use super::words::{Icon, Object, Words};
use super::{Annotations, Contents, Context, Reply, ToolError};

/// Who may share a cached answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheScope {
    /// All clients of the server.
    Public,
    /// Only who asked.
    Private,
}

/// What a resource or template says of its contents.
pub(super) struct Traits {
    pub(super) words: Words,
    pub(super) mime: String,
    pub(super) annotations: Option<Annotations>,
    pub(super) cache: Option<(Duration, CacheScope)>,
}

impl Traits {
    pub(super) fn new(name: &str, mime: &str) -> Self {
        Self { words: Words::new(name, ""), mime: mime.to_owned(), annotations: None, cache: None }
    }

    /// A listing without its last members.
    pub(super) fn list(&self, key: &str, place: &str, size: Option<u64>) -> Vec<u8> {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text(key, place);
        object.text("name", &self.words.name);
        self.words.encode(&mut object);
        object.text_if("mimeType", Some(self.mime.as_str()).filter(|mime| !mime.is_empty()));
        if let Some(size) = size {
            object.raw("size", size.to_string().as_bytes());
        }
        object.annotations(self.annotations.as_ref());
        object.close();
        out
    }
}

/// Something a client may read, under one URI.
///
/// ```
/// use mcpring::tools::Resource;
///
/// let motto = Resource::text("docs://motto", "motto", "text/plain", "Fast, then faster.")
///     .description("What we live by.");
/// assert_eq!(motto.uri(), "docs://motto");
/// ```
pub struct Resource {
    uri: String,
    traits: Traits,
    size: Option<u64>,
    action: Action,
}

impl Resource {
    /// A resource that is always this text.
    pub fn text(uri: &str, name: &str, mime: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        let size = u64::try_from(text.len()).ok();
        Self::fixed(uri, name, mime, Contents::text(text), size)
    }

    /// A resource that is always these bytes.
    pub fn binary(uri: &str, name: &str, mime: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let size = u64::try_from(bytes.len()).ok();
        Self::fixed(uri, name, mime, Contents::blob(bytes), size)
    }

    fn fixed(uri: &str, name: &str, mime: &str, contents: Contents, size: Option<u64>) -> Self {
        let (own_uri, own_mime) = (uri.to_owned(), mime.to_owned());
        let action = Action::immediate(move |_, reply| {
            contents.fill(reply, &own_uri, &own_mime);
            Ok(())
        });
        Self { uri: uri.to_owned(), traits: Traits::new(name, mime), size, action }
    }

    /// A resource that is read anew each time.
    ///
    /// ```
    /// use mcpring::tools::{Contents, Resource};
    ///
    /// let caller = Resource::read("me://name", "caller", "text/plain", |context| async move {
    ///     Ok(Contents::text(context.principal()))
    /// });
    /// ```
    pub fn read<F>(
        uri: &str,
        name: &str,
        mime: &str,
        function: impl Fn(Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Contents, ToolError>> + 'static,
    {
        let own_mime = mime.to_owned();
        let own_uri = uri.to_owned();
        let action = Action::deferred(move |_, context| {
            let (uri, mime) = (own_uri.clone(), own_mime.clone());
            let reading = function(context);
            Ok(async move { reading.await.map(|contents| reply(&contents, &uri, &mime)) })
        });
        Self { uri: uri.to_owned(), traits: Traits::new(name, mime), size: None, action }
    }

    /// A name for people.
    #[must_use]
    pub fn title(mut self, title: &str) -> Self {
        self.traits.words.title = Some(title.to_owned());
        self
    }

    /// What it is, for a model.
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

    /// How large it is, bytes.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// Hints on who should see it.
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

    /// Where it is.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Its name.
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

    pub(super) fn listing(&self) -> Vec<u8> {
        self.traits.list("uri", &self.uri, self.size)
    }
}

pub(super) fn reply(contents: &Contents, uri: &str, mime: &str) -> Reply {
    let mut reply = Reply::new();
    contents.fill(&mut reply, uri, mime);
    reply
}
