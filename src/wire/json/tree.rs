//! The rest of reading a tape: an array's elements, and a value written out as JSON again.
//! Never: the bytes a peer sent; what is written means the same and is spelled our way.
//! Next: `value`, how a tape is walked.

use simd_json::{Node, StaticNode};

use super::Value;
use super::encode::{encode_integer, encode_str};

/// Iterator over an array's elements.
#[derive(Clone, Debug)]
pub struct Elements<'t, 'i> {
    left: usize,
    rest: &'t [Node<'i>],
}

impl<'t, 'i> Iterator for Elements<'t, 'i> {
    type Item = Value<'t, 'i>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let value = Value::new(self.rest);
        self.rest = self.rest.get(value.own_nodes().len()..).unwrap_or_default();
        Some(value)
    }
}

/// What is still open while a value is written: how many values are left, and whether keys stand before them.
struct Open {
    left: usize,
    is_object: bool,
    is_first: bool,
}

impl<'t, 'i> Value<'t, 'i> {
    /// The elements of an array in order; none for other values.
    pub fn elements(self) -> Elements<'t, 'i> {
        match self.own_nodes().split_first() {
            Some((Node::Array { len, .. }, rest)) => Elements { left: *len, rest },
            _ => Elements { left: 0, rest: &[] },
        }
    }

    /// `true` or `false`.
    pub fn as_bool(self) -> Option<bool> {
        match self.own_nodes().first() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    /// A number that is not an integer of 64 bits.
    pub fn as_fraction(self) -> Option<f64> {
        match self.own_nodes().first() {
            Some(Node::Static(StaticNode::F64(value))) => Some(*value),
            _ => None,
        }
    }

    /// Appends the value as JSON. No recursion: a peer chose the nesting.
    pub fn encode(self, out: &mut Vec<u8>) {
        let mut open: Vec<Open> = Vec::new();
        let mut nodes = self.own_nodes().iter();
        while let Some(node) = nodes.next() {
            let mut value = node;
            if let Some(container) = open.last_mut() {
                if !std::mem::take(&mut container.is_first) {
                    out.push(b',');
                }
                container.left = container.left.saturating_sub(1);
                if container.is_object {
                    if let Node::String(key) = node {
                        encode_str(out, key);
                    }
                    out.push(b':');
                    let Some(next) = nodes.next() else { return };
                    value = next;
                }
            }
            match value {
                Node::String(text) => encode_str(out, text),
                Node::Static(value) => encode_static(out, *value),
                Node::Object { len, .. } => {
                    out.push(b'{');
                    open.push(Open { left: *len, is_object: true, is_first: true });
                }
                Node::Array { len, .. } => {
                    out.push(b'[');
                    open.push(Open { left: *len, is_object: false, is_first: true });
                }
            }
            while let Some(done) = open.pop_if(|container| container.left == 0) {
                out.push(if done.is_object { b'}' } else { b']' });
            }
        }
    }
}

fn encode_static(out: &mut Vec<u8>, value: StaticNode) {
    match value {
        StaticNode::Null => out.extend_from_slice(b"null"),
        StaticNode::Bool(true) => out.extend_from_slice(b"true"),
        StaticNode::Bool(false) => out.extend_from_slice(b"false"),
        StaticNode::I64(number) => encode_integer(out, number),
        StaticNode::U64(number) => encode_integer(out, number),
        // The shortest text that reads back as the same number.
        StaticNode::F64(number) => {
            if serde_json::to_writer(&mut *out, &number).is_err() {
                out.extend_from_slice(b"null");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JsonLimits, PADDING, Scratch};

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let mut scratch = Scratch::default();
        let mut padded = text.as_bytes().to_vec();
        padded.resize(text.len() + PADDING, 0);
        let limits = JsonLimits { depth_max: 32, nodes_max: 1000 };
        let document = scratch.decode(&mut padded, text.len(), limits).unwrap();
        let mut out = Vec::new();
        document.root().encode(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expect);
    }

    #[test]
    fn what_was_read_is_written_with_the_same_meaning() {
        for same in [
            "null",
            "true",
            "-3",
            "18446744073709551615",
            "0.1",
            "1.0",
            "\"a\\\"\\n\"",
            "[]",
            "{}",
            "[[],[{}],1]",
            r#"{"a":{"b":[1,{"c":null}],"d":{}},"a":[],"e":"\u0001"}"#,
        ] {
            check(same, same);
        }
        check(r#" { "a" : [ 1 , 2.50 ] , "b" : "\u00e9\/" } "#, "{\"a\":[1,2.5],\"b\":\"\u{e9}/\"}");
    }

    #[test]
    fn elements_are_the_arrays_own() {
        let text = r#"[[1,2],{"a":[3]},"x"]"#;
        let mut scratch = Scratch::default();
        let mut padded = text.as_bytes().to_vec();
        padded.resize(text.len() + PADDING, 0);
        let limits = JsonLimits { depth_max: 32, nodes_max: 1000 };
        let document = scratch.decode(&mut padded, text.len(), limits).unwrap();
        let root = document.root();
        assert_eq!(root.elements().count(), 3);
        assert_eq!(root.elements().nth(2).unwrap().as_str(), Some("x"));
        assert_eq!(root.elements().nth(1).unwrap().elements().count(), 0);
    }
}
