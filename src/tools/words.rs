//! What everything on offer says of itself: name, title, description, pictures; and how that is listed.
//! Next: `registry`, which keeps the listings.

use std::sync::Arc;

use super::Annotations;
use super::tool::{Hints, Tool};
use crate::wire::json::encode::encode_str;

/// A picture of something on offer.
///
/// ```
/// use mcpring::tools::Icon;
///
/// let icon = Icon::new("https://example.com/tool.png").mime("image/png").sizes(&["48x48"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Icon {
    source: String,
    mime: Option<String>,
    sizes: Vec<String>,
}

impl Icon {
    /// A picture at an `https:` or `data:` address.
    pub fn new(source: &str) -> Self {
        Self { source: source.to_owned(), mime: None, sizes: Vec::new() }
    }

    /// Its type.
    #[must_use]
    pub fn mime(mut self, mime: &str) -> Self {
        self.mime = Some(mime.to_owned());
        self
    }

    /// Its sizes, `48x48` or `any`.
    #[must_use]
    pub fn sizes(mut self, sizes: &[&str]) -> Self {
        self.sizes = sizes.iter().map(|size| (*size).to_owned()).collect();
        self
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut object = Object::open(out);
        object.text("src", &self.source);
        object.text_if("mimeType", self.mime.as_deref());
        if !self.sizes.is_empty() {
            object.list("sizes", &self.sizes, |out, size| encode_str(out, size));
        }
        object.close();
    }
}

/// What is said of a thing.
pub(super) struct Words {
    pub(super) name: Arc<str>,
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) icons: Vec<Icon>,
}

impl Words {
    pub(super) fn new(name: &str, description: &str) -> Self {
        let description = Some(description).filter(|words| !words.is_empty()).map(str::to_owned);
        Self { name: name.into(), title: None, description, icons: Vec::new() }
    }

    /// Writes all but the name.
    pub(super) fn encode(&self, object: &mut Object<'_>) {
        object.text_if("title", self.title.as_deref());
        object.text_if("description", self.description.as_deref());
        if !self.icons.is_empty() {
            object.list("icons", &self.icons, |out, icon| icon.encode(out));
        }
    }
}

/// An object as it is written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    separator: u8,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    pub(super) fn raw(&mut self, name: &str, json: &[u8]) {
        self.key(name);
        self.out.extend_from_slice(json);
    }

    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        encode_str(self.out, text);
    }

    pub(super) fn text_if(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(super) fn flag_if(&mut self, name: &str, flag: Option<bool>) {
        match flag {
            Some(true) => self.raw(name, b"true"),
            Some(false) => self.raw(name, b"false"),
            None => {}
        }
    }

    pub(super) fn list<T>(&mut self, name: &str, items: &[T], encode: impl Fn(&mut Vec<u8>, &T)) {
        self.key(name);
        self.out.push(b'[');
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            encode(self.out, item);
        }
        self.out.push(b']');
    }

    pub(super) fn annotations(&mut self, annotations: Option<&Annotations>) {
        if let Some(annotations) = annotations {
            self.key("annotations");
            annotations.encode(self.out);
        }
    }

    pub(super) fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) {
        self.out.push(std::mem::replace(&mut self.separator, b','));
        encode_str(self.out, name);
        self.out.push(b':');
    }
}

/// A tool's entry in `tools/list`; `output` says whether its output schema is in it.
pub(super) fn list_tool(tool: &Tool, output: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    object.text("name", tool.name());
    tool.words().encode(&mut object);
    object.raw("inputSchema", tool.input_schema_text().as_bytes());
    if let Some(schema) = output {
        object.raw("outputSchema", schema.as_bytes());
    }
    let hints = tool.hints();
    if hints != Hints::default() {
        let mut listed = Vec::new();
        let mut inner = Object::open(&mut listed);
        inner.flag_if("readOnlyHint", hints.read_only);
        inner.flag_if("destructiveHint", hints.destructive);
        inner.flag_if("idempotentHint", hints.idempotent);
        inner.flag_if("openWorldHint", hints.open_world);
        inner.close();
        object.raw("annotations", &listed);
    }
    object.close();
    out
}
