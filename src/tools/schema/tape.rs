//! Reads a decoded message for the schema validator, without copying it.
//! Never: an allocation for a valid message, save where uniqueness or equality of containers is asked.
//! Next: `wire/json/shape`, what a value says of itself.

use std::borrow::Cow;

use jsonschema::JsonType;
use jsonschema::json::{Array, Json, JsonNumber, Node, NodeIdentity, Object};
use serde_json::{Map, Number, Value as Tree};

use crate::wire::json::{Shape, Value};

/// The representation.
pub(super) struct Tape;

/// A value, or the name of a member where names are checked.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Value(Value<'a, 'a>),
    Name(&'a str),
}

impl<'a> Place<'a> {
    fn shape(self) -> Shape<'a> {
        match self {
            Self::Value(value) => value.shape(),
            Self::Name(name) => Shape::Text(name),
        }
    }
}

impl Json for Tape {
    type Node<'a> = Place<'a>;
    type PreparedKey = Box<str>;
    // A lookup walks the object, so that one pass over the members is cheaper from two names on.
    const KEYS_PER_LOOKUP: usize = 2;
    type StringBuffer = ();

    fn prepare_key(key: &str) -> Box<str> {
        key.into()
    }

    fn with_string_node<T>((): &mut (), string: &str, f: impl FnOnce(Place<'_>) -> T) -> T {
        f(Place::Name(string))
    }
}

impl<'a> Node<'a, Tape> for Place<'a> {
    type Object = Members<'a>;
    type Array = Elements<'a>;
    type Number = TapeNumber;

    fn as_object(&self) -> Option<Members<'a>> {
        match (self, self.shape()) {
            (Self::Value(value), Shape::Object(len)) => Some(Members { value: *value, len }),
            _ => None,
        }
    }

    fn as_array(&self) -> Option<Elements<'a>> {
        match (self, self.shape()) {
            (Self::Value(value), Shape::Array(len)) => Some(Elements { value: *value, len }),
            _ => None,
        }
    }

    fn as_string(&self) -> Option<Cow<'a, str>> {
        if let Shape::Text(text) = self.shape() { Some(Cow::Borrowed(text)) } else { None }
    }

    fn as_number(&self) -> Option<TapeNumber> {
        match self.shape() {
            Shape::Signed(number) => Some(TapeNumber::Signed(number)),
            Shape::Unsigned(number) => Some(TapeNumber::Unsigned(number)),
            Shape::Float(number) => Some(TapeNumber::Float(number)),
            Shape::Null | Shape::Bool(_) | Shape::Text(_) | Shape::Array(_) | Shape::Object(_) => None,
        }
    }

    fn as_boolean(&self) -> Option<bool> {
        if let Shape::Bool(value) = self.shape() { Some(value) } else { None }
    }

    fn is_null(&self) -> bool {
        self.shape() == Shape::Null
    }

    fn json_type(&self) -> JsonType {
        match self.shape() {
            Shape::Null => JsonType::Null,
            Shape::Bool(_) => JsonType::Boolean,
            Shape::Signed(_) | Shape::Unsigned(_) | Shape::Float(_) => JsonType::Number,
            Shape::Text(_) => JsonType::String,
            Shape::Array(_) => JsonType::Array,
            Shape::Object(_) => JsonType::Object,
        }
    }

    fn equals_value(&self, expected: &Tree) -> bool {
        match (self.shape(), expected) {
            (Shape::Text(text), Tree::String(expected)) => text == expected,
            (Shape::Bool(value), Tree::Bool(expected)) => value == *expected,
            (Shape::Null, Tree::Null) => true,
            (Shape::Signed(_) | Shape::Unsigned(_) | Shape::Float(_), Tree::Number(expected)) => {
                self.as_number().is_some_and(|number| jsonschema::json::cmp::equal_numbers(&number, expected))
            }
            (Shape::Array(_), Tree::Array(_)) | (Shape::Object(_), Tree::Object(_)) => {
                jsonschema::json::cmp::equal(&self.to_value(), expected)
            }
            _ => false,
        }
    }

    fn to_value(&self) -> Cow<'a, Tree> {
        Cow::Owned(match self {
            Self::Value(value) => tree(*value),
            Self::Name(name) => Tree::String((*name).to_owned()),
        })
    }

    fn identity(&self) -> Option<NodeIdentity> {
        Some(NodeIdentity::new(match self {
            Self::Value(value) => value.address(),
            Self::Name(name) => name.as_ptr().addr(),
        }))
    }
}

/// The value as a tree. The nesting of a message is bounded where it is decoded.
fn tree(value: Value<'_, '_>) -> Tree {
    match value.shape() {
        Shape::Null => Tree::Null,
        Shape::Bool(value) => Tree::Bool(value),
        Shape::Signed(number) => Tree::from(number),
        Shape::Unsigned(number) => Tree::from(number),
        Shape::Float(number) => Tree::from(number),
        Shape::Text(text) => Tree::from(text),
        Shape::Array(_) => value.elements().map(tree).collect(),
        Shape::Object(_) => {
            let members = value.members().map(|(name, value)| (name.to_owned(), tree(value)));
            Tree::Object(members.collect::<Map<_, _>>())
        }
    }
}

/// An object's members.
pub(super) struct Members<'a> {
    value: Value<'a, 'a>,
    len: usize,
}

/// Iterator over members.
pub(super) struct MembersIter<'a>(crate::wire::json::value::Members<'a, 'a>);

impl<'a> Iterator for MembersIter<'a> {
    type Item = (&'a str, Place<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name, Place::Value(value)))
    }
}

impl<'a> Object<'a, Tape> for Members<'a> {
    type Node = Place<'a>;
    type MemberName = &'a str;
    type MembersIter = MembersIter<'a>;

    fn len(&self) -> usize {
        self.len
    }

    fn get(&self, key: &Box<str>) -> Option<Place<'a>> {
        self.value.member(key).map(Place::Value)
    }

    fn members(&self) -> MembersIter<'a> {
        MembersIter(self.value.members())
    }
}

/// An array's elements.
pub(super) struct Elements<'a> {
    value: Value<'a, 'a>,
    len: usize,
}

/// Iterator over elements.
pub(super) struct ElementsIter<'a>(crate::wire::json::Elements<'a, 'a>);

impl<'a> Iterator for ElementsIter<'a> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Place::Value)
    }
}

impl<'a> Array<'a, Tape> for Elements<'a> {
    type Node = Place<'a>;
    type ElementsIter = ElementsIter<'a>;

    fn len(&self) -> usize {
        self.len
    }

    fn elements(&self) -> ElementsIter<'a> {
        ElementsIter(self.value.elements())
    }
}

/// A number as the decoder has it.
#[derive(Clone, Copy)]
pub(super) enum TapeNumber {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

impl JsonNumber for TapeNumber {
    fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Signed(number) => u64::try_from(*number).ok(),
            Self::Unsigned(number) => Some(*number),
            Self::Float(_) => None,
        }
    }

    fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Signed(number) => Some(*number),
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Float(_) => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "what a double makes of it is what is asked for")]
    fn as_f64(&self) -> Option<f64> {
        Some(match self {
            Self::Signed(number) => *number as f64,
            Self::Unsigned(number) => *number as f64,
            Self::Float(number) => *number,
        })
    }

    fn as_str(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_number().to_string())
    }

    fn to_number(&self) -> Cow<'_, Number> {
        Cow::Owned(match self {
            Self::Signed(number) => Number::from(*number),
            Self::Unsigned(number) => Number::from(*number),
            Self::Float(number) => Number::from_f64(*number).unwrap_or_else(|| Number::from(0)),
        })
    }

    fn is_integer(&self) -> bool {
        match self {
            Self::Signed(_) | Self::Unsigned(_) => true,
            Self::Float(number) => number.fract() == 0.0,
        }
    }

    fn is_written_as_integer(&self) -> bool {
        !matches!(self, Self::Float(_))
    }
}
