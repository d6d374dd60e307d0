//! What kind of value a tape holds, for readers that must treat every kind: a schema's validator.
//! Never: a copy; a container is told by how many children it has.
//! Next: `tree`, which walks the children.

use simd_json::{Node, StaticNode};

use super::Value;

/// One value without its children.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape<'i> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A negative integer, or one below 2^63.
    Signed(i64),
    /// An integer from 2^63 on.
    Unsigned(u64),
    /// A number written with fraction or exponent.
    Float(f64),
    /// A string.
    Text(&'i str),
    /// An array and how many elements it has.
    Array(usize),
    /// An object and how many members it has, duplicates included.
    Object(usize),
}

impl<'i> Value<'_, 'i> {
    /// What kind of value this is.
    pub fn shape(self) -> Shape<'i> {
        match self.own_nodes().first() {
            Some(Node::Object { len, .. }) => Shape::Object(*len),
            Some(Node::Array { len, .. }) => Shape::Array(*len),
            Some(Node::String(text)) => Shape::Text(text),
            Some(Node::Static(StaticNode::Bool(value))) => Shape::Bool(*value),
            Some(Node::Static(StaticNode::I64(number))) => Shape::Signed(*number),
            Some(Node::Static(StaticNode::U64(number))) => Shape::Unsigned(*number),
            Some(Node::Static(StaticNode::F64(number))) => Shape::Float(*number),
            Some(Node::Static(StaticNode::Null)) | None => Shape::Null,
        }
    }

    /// Where the value lies, which no other value of a live document shares.
    pub fn address(self) -> usize {
        self.own_nodes().as_ptr().addr()
    }
}
