//! What a resource's reader gives back: the contents of that resource, and of others that belong to it.
//! Next: `resource`, whose readers return it.

use super::Reply;
use super::block::{Body, encode_contents};

/// The contents of a resource.
///
/// ```
/// use mcpring::tools::Contents;
///
/// let page = Contents::text("# Hello").and_text("docs://footer", "text/plain", "Bye");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    /// URI and type; those of the resource that was asked for when absent.
    place: Option<(String, String)>,
    data: Data,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Data {
    Text(String),
    Blob(Vec<u8>),
}

impl Contents {
    fn of(data: Data) -> Self {
        Self { parts: vec![Part { place: None, data }] }
    }

    /// The resource is this text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of(Data::Text(text.into()))
    }

    /// The resource is these bytes.
    pub fn blob(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(Data::Blob(bytes.into()))
    }

    /// Also contains another resource of text.
    #[must_use]
    pub fn and_text(mut self, uri: &str, mime: &str, text: impl Into<String>) -> Self {
        self.parts.push(Part { place: Some((uri.into(), mime.into())), data: Data::Text(text.into()) });
        self
    }

    /// Also contains another resource of bytes.
    #[must_use]
    pub fn and_blob(mut self, uri: &str, mime: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.parts.push(Part { place: Some((uri.into(), mime.into())), data: Data::Blob(bytes.into()) });
        self
    }

    pub(super) fn fill(&self, reply: &mut Reply, uri: &str, mime: &str) {
        for part in &self.parts {
            let (uri, mime) =
                part.place.as_ref().map_or((uri, mime), |(uri, mime)| (uri.as_str(), mime.as_str()));
            let body = match &part.data {
                Data::Text(text) => Body::Text(text),
                Data::Blob(bytes) => Body::Blob(bytes),
            };
            reply.item(|out| encode_contents(out, uri, mime, body));
        }
    }
}
