//! Reading a tape: a value is the run of nodes that starts with it.
//! Never: a recursion that a peer's nesting could drive; skipping a value is one addition.
//! Next: `jsonrpc`, the first reader.

use std::cell::RefCell;

use serde::Deserialize;
use simd_json::{Deserializer, Node, StaticNode, Tape};

/// One JSON value in a decoded document.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t, 'i> {
    nodes: &'t [Node<'i>],
}

impl<'t, 'i> Value<'t, 'i> {
    pub(super) fn new(nodes: &'t [Node<'i>]) -> Self {
        Self { nodes }
    }

    /// The members of an object in the order they were written, duplicates included; none for other values.
    pub fn members(self) -> Members<'t, 'i> {
        let left = match self.nodes.first() {
            Some(Node::Object { len, .. }) => *len,
            _ => 0,
        };
        Members { left, nodes: self.nodes.get(1..).unwrap_or_default() }
    }

    /// The first member named `key`.
    pub fn member(self, key: &str) -> Option<Self> {
        self.members().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Object { .. }))
    }

    /// Whether this is an array.
    pub fn is_array(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Array { .. }))
    }

    /// Whether this is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Static(StaticNode::Null)))
    }

    /// The text of a string.
    pub fn as_str(self) -> Option<&'i str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// An integer of at most 64 bits, written without fraction or exponent.
    pub fn as_integer(self) -> Option<i128> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::I64(number))) => Some(i128::from(*number)),
            Some(Node::Static(StaticNode::U64(number))) => Some(i128::from(*number)),
            _ => None,
        }
    }

    /// Reads the value into `T`, whose strings may borrow from the message. `spare` is reused memory.
    ///
    /// # Errors
    /// What `T` misses or does not understand, in serde's words.
    pub fn parse<T: Deserialize<'i>>(self, spare: &SpareTape) -> Result<T, simd_json::Error> {
        let mut nodes = Tape(std::mem::take(&mut *spare.nodes.borrow_mut())).reset().0;
        nodes.extend_from_slice(self.own_nodes());
        let mut deserializer = Deserializer::from_tape(Tape(nodes));
        let parsed = T::deserialize(&mut deserializer);
        *spare.nodes.borrow_mut() = deserializer.into_tape().reset().0;
        parsed
    }

    pub(super) fn own_nodes(self) -> &'t [Node<'i>] {
        self.nodes.get(..extent(self.nodes)).unwrap_or_default()
    }
}

/// Memory that [`Value::parse`] reuses.
#[derive(Default)]
pub struct SpareTape {
    nodes: RefCell<Vec<Node<'static>>>,
}

/// Iterator over an object's members.
#[derive(Clone, Debug)]
pub struct Members<'t, 'i> {
    left: usize,
    nodes: &'t [Node<'i>],
}

impl<'t, 'i> Iterator for Members<'t, 'i> {
    type Item = (&'i str, Value<'t, 'i>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (Node::String(key), rest) = self.nodes.split_first()? else { return None };
        self.nodes = rest.get(extent(rest)..).unwrap_or_default();
        Some((key, Value::new(rest)))
    }
}

/// How many nodes the value at the front takes.
fn extent(nodes: &[Node<'_>]) -> usize {
    match nodes.first() {
        Some(Node::Object { count, .. } | Node::Array { count, .. }) => 1 + count,
        Some(Node::String(_) | Node::Static(_)) => 1,
        None => 0,
    }
}
