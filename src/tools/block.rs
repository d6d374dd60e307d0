//! Content blocks, the pieces of a tool's result and of a prompt's messages, written as JSON.
//! Next: `reply` and `messages`, which hold them.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::wire::json::encode::encode_str;

/// Who speaks, or who is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A person.
    User,
    /// A model.
    Assistant,
}

impl Role {
    /// The word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// Hints on who should see something, and how much it matters.
///
/// ```
/// use mcpring::tools::{Annotations, Role};
///
/// let hints = Annotations::default().audience(&[Role::User]).priority(0.9);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    audience: Vec<Role>,
    priority: Option<f64>,
    last_modified: Option<SystemTime>,
}

impl Annotations {
    /// Who it is meant for.
    #[must_use]
    pub fn audience(mut self, audience: &[Role]) -> Self {
        self.audience = audience.to_vec();
        self
    }

    /// How much it matters, 0 to 1; what lies outside is moved to the nearest end.
    #[must_use]
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = Some(priority).filter(|priority| priority.is_finite()).map(|own| own.clamp(0.0, 1.0));
        self
    }

    /// When it was changed last.
    #[must_use]
    pub fn last_modified(mut self, time: SystemTime) -> Self {
        self.last_modified = Some(time);
        self
    }

    /// Appends the object.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut separator = b'{';
        let mut member = |out: &mut Vec<u8>, name: &str| {
            out.push(std::mem::replace(&mut separator, b','));
            encode_str(out, name);
            out.push(b':');
        };
        if !self.audience.is_empty() {
            member(out, "audience");
            for (at, role) in self.audience.iter().enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                encode_str(out, role.name());
            }
            out.push(b']');
        }
        if let Some(priority) = self.priority {
            member(out, "priority");
            out.extend_from_slice(priority.to_string().as_bytes());
        }
        if let Some(time) = self.last_modified.and_then(|at| OffsetDateTime::from(at).format(&Rfc3339).ok()) {
            member(out, "lastModified");
            encode_str(out, &time);
        }
        if separator == b'{' {
            out.push(b'{');
        }
        out.push(b'}');
    }
}

/// One content block.
///
/// ```
/// use mcpring::tools::Block;
///
/// let picture = Block::image(b"\x89PNG...", "image/png");
/// let words = Block::text("A picture of a ring.");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    json: Vec<u8>,
}

impl Block {
    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut json = Vec::new();
        write(&mut json);
        Self { json }
    }

    /// Words.
    pub fn text(text: &str) -> Self {
        Self::written(|out| encode_text(out, text))
    }

    /// A picture, as the bytes of its file.
    pub fn image(bytes: &[u8], mime: &str) -> Self {
        Self::written(|out| encode_media(out, "image", Data::Bytes(bytes), mime))
    }

    /// A sound, as the bytes of its file.
    pub fn audio(bytes: &[u8], mime: &str) -> Self {
        Self::written(|out| encode_media(out, "audio", Data::Bytes(bytes), mime))
    }

    /// A resource of text, contained.
    pub fn embedded_text(uri: &str, mime: &str, text: &str) -> Self {
        Self::written(|out| encode_embedded(out, uri, mime, Body::Text(text)))
    }

    /// A resource of bytes, contained.
    pub fn embedded_blob(uri: &str, mime: &str, bytes: &[u8]) -> Self {
        Self::written(|out| encode_embedded(out, uri, mime, Body::Blob(bytes)))
    }

    /// A resource that the client may read.
    pub fn resource_link(uri: &str, name: &str, mime: Option<&str>) -> Self {
        Self::written(|out| encode_link(out, uri, name, mime))
    }

    /// The block with hints.
    #[must_use]
    pub fn annotated(mut self, annotations: &Annotations) -> Self {
        annotate(&mut self.json, annotations);
        self
    }

    /// The block as JSON.
    pub fn as_json(&self) -> &[u8] {
        &self.json
    }
}

/// What a picture or sound is given as.
#[derive(Clone, Copy)]
pub(super) enum Data<'d> {
    Bytes(&'d [u8]),
    Base64(&'d str),
}

/// What a resource consists of.
#[derive(Clone, Copy)]
pub(super) enum Body<'d> {
    Text(&'d str),
    Blob(&'d [u8]),
}

pub(super) fn encode_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
    encode_str(out, text);
    out.push(b'}');
}

pub(super) fn encode_media(out: &mut Vec<u8>, kind: &str, data: Data<'_>, mime: &str) {
    out.extend_from_slice(b"{\"type\":");
    encode_str(out, kind);
    out.extend_from_slice(b",\"data\":");
    match data {
        Data::Bytes(bytes) => encode_base64(out, bytes),
        Data::Base64(text) => encode_str(out, text),
    }
    out.extend_from_slice(b",\"mimeType\":");
    encode_str(out, mime);
    out.push(b'}');
}

pub(super) fn encode_embedded(out: &mut Vec<u8>, uri: &str, mime: &str, body: Body<'_>) {
    out.extend_from_slice(b"{\"type\":\"resource\",\"resource\":");
    encode_contents(out, uri, mime, body);
    out.push(b'}');
}

pub(super) fn encode_link(out: &mut Vec<u8>, uri: &str, name: &str, mime: Option<&str>) {
    out.extend_from_slice(b"{\"type\":\"resource_link\",\"uri\":");
    encode_str(out, uri);
    out.extend_from_slice(b",\"name\":");
    encode_str(out, name);
    if let Some(mime) = mime {
        out.extend_from_slice(b",\"mimeType\":");
        encode_str(out, mime);
    }
    out.push(b'}');
}

/// The contents of one resource, as `resources/read` has them; no type is stated when `mime` is empty.
pub(super) fn encode_contents(out: &mut Vec<u8>, uri: &str, mime: &str, body: Body<'_>) {
    out.extend_from_slice(b"{\"uri\":");
    encode_str(out, uri);
    if !mime.is_empty() {
        out.extend_from_slice(b",\"mimeType\":");
        encode_str(out, mime);
    }
    match body {
        Body::Text(text) => {
            out.extend_from_slice(b",\"text\":");
            encode_str(out, text);
        }
        Body::Blob(bytes) => {
            out.extend_from_slice(b",\"blob\":");
            encode_base64(out, bytes);
        }
    }
    out.push(b'}');
}

/// Puts hints into the object that `out` ends with; it has members already.
pub(super) fn annotate(out: &mut Vec<u8>, annotations: &Annotations) {
    if out.pop_if(|last| *last == b'}').is_some() {
        out.extend_from_slice(b",\"annotations\":");
        annotations.encode(out);
        out.push(b'}');
    }
}

fn encode_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, out.get_mut(start..).unwrap_or_default());
    out.truncate(start + written.expect("three bytes make four characters"));
    out.push(b'"');
}
