//! Durations and sizes as the file writes them: `"30s"`, `"10MiB"`. One number, one unit.
//! Never: a number without a unit, a fraction, a sum such as `1h30m`.
//! Next: `raw`, which uses both.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds of each unit, smallest first.
const TIME_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Bytes of each unit, smallest first.
const SIZE_UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// A duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(pub(super) Duration);

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) u64);

impl Time {
    /// Milliseconds; only for constants in the program.
    pub(super) const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// Seconds; only for constants in the program.
    pub(super) const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Reads `"250ms"`, `"30s"`, `"15m"`, `"24h"` or `"90d"`.
    pub(super) fn decode(text: &str) -> Option<Self> {
        scaled(text, TIME_UNITS).map(Self::from_millis)
    }
}

impl Size {
    /// Reads `"512B"`, `"64KiB"`, `"10MiB"` or `"1GiB"`.
    pub(super) fn decode(text: &str) -> Option<Self> {
        scaled(text, SIZE_UNITS).map(Self)
    }
}

/// The number times its unit; nothing when either is malformed or the product does not fit.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The number in its largest unit that leaves no rest.
fn unscaled(amount: u64, units: &[(&str, u64)]) -> String {
    let fitting = units.iter().rev().find(|(_, factor)| amount != 0 && amount.is_multiple_of(*factor));
    match fitting {
        Some((unit, factor)) => format!("{}{unit}", amount / factor),
        None => format!("0{}", if units == TIME_UNITS { "s" } else { "B" }),
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        f.write_str(&unscaled(millis, TIME_UNITS))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&unscaled(self.0, SIZE_UNITS))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| D::Error::custom("not a duration"))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text).ok_or_else(|| D::Error::custom("not a size"))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$", "x-unit": "duration" })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$", "x-unit": "size" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_number_with_one_unit() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(Time::decode(text), expect.map(Time::from_millis), "{text:?}");
        };
        check("250ms", Some(250));
        check("30s", Some(30_000));
        check("15m", Some(900_000));
        check("24h", Some(86_400_000));
        check("90d", Some(7_776_000_000));
        check("0s", Some(0));
        for text in ["", "s", "5", "5 s", " 5s", "-5s", "+5s", "1.5s", "1h30m", "5S", "5min", "5\u{663}s"] {
            check(text, None);
        }
        check("18446744073709551615d", None);
        check("99999999999999999999ms", None);
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["250ms", "30s", "15m", "24h", "0s", "1500ms", "90s"] {
            let written = Time::decode(text).unwrap().to_string();
            assert_eq!(Time::decode(&written), Time::decode(text), "{text} {written}");
        }
        for (text, expect) in [("0B", "0B"), ("1024B", "1KiB"), ("10240KiB", "10MiB"), ("1500B", "1500B")] {
            assert_eq!(Size::decode(text).unwrap().to_string(), expect);
        }
        for text in ["10MB", "10mib", "10M", "10", "17179869184GiB"] {
            assert_eq!(Size::decode(text), None, "{text}");
        }
    }
}
