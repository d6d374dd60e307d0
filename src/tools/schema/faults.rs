//! What is wrong with a value: the first few places, so that a caller mends them in one go.
//! Never: a search for more in a large value, because the validator collects all it finds before it gives the first.
//! Next: `mod.rs`, which asks.

use std::fmt;

use super::{Invalid, shorten};
use crate::wire::json::Value;

/// Places that are spoken of.
const TOLD_MAX: usize = 3;

/// Values and bytes of names and texts of what is looked through for more than one fault. Whoever sends much knows it is
/// wrong from the first.
const WEIGHT_MAX: usize = 4096;

/// Why a value does not satisfy a schema; there is at least one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    told: Vec<Invalid>,
    /// How many more there are.
    more: usize,
}

impl Faults {
    pub(super) fn collect(found: impl Iterator<Item = Invalid>) -> Self {
        let mut faults = Self { told: Vec::new(), more: 0 };
        for invalid in found {
            if faults.told.contains(&invalid) {
                continue;
            }
            if faults.told.len() < TOLD_MAX {
                faults.told.push(invalid);
            } else {
                faults.more += 1;
            }
        }
        faults
    }

    /// Those that are told, at most three.
    pub fn told(&self) -> &[Invalid] {
        &self.told
    }
}

impl From<Invalid> for Faults {
    fn from(only: Invalid) -> Self {
        Self { told: vec![only], more: 0 }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, invalid) in self.told.iter().enumerate() {
            if at > 0 {
                f.write_str("; ")?;
            }
            // A path has names of the caller's in it.
            f.write_str(&shorten(invalid.to_string()))?;
        }
        if self.more > 0 { write!(f, "; and {} more", self.more) } else { Ok(()) }
    }
}

impl std::error::Error for Faults {}

/// Whether a value is small enough to be looked through to its end.
pub(super) fn is_small(value: Value<'_, '_>) -> bool {
    rest(value, WEIGHT_MAX).is_some()
}

/// What is left of `weight` when the value is taken from it. The nesting of a message is bounded where it is decoded.
fn rest(value: Value<'_, '_>, weight: usize) -> Option<usize> {
    let weight = weight.checked_sub(1 + value.as_str().map_or(0, str::len))?;
    let weight = value
        .members()
        .try_fold(weight, |weight, (name, inner)| rest(inner, weight.checked_sub(name.len())?))?;
    value.elements().try_fold(weight, |weight, inner| rest(inner, weight))
}
