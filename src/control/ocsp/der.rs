//! DER, as much of it as OCSP needs: strict reading of tags and lengths, and writing.
//! Never: an indefinite length, a tag of several bytes, a length that is longer than it has to be.
//! Next: `response`, the reader.

/// Bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// `[number]` around something else.
pub(super) const fn explicit(number: u8) -> u8 {
    0xa0 | number
}

/// One value where it lies.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) fn reader(self) -> Reader<'a> {
        Reader(self.content)
    }
}

/// Reads value after value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The next value, whatever it is.
    pub(super) fn any(&mut self) -> Result<Value<'a>, Malformed> {
        let (tag, after_tag) = self.0.split_first().ok_or(Malformed)?;
        // X.690 8.1.2.4: all ones announce a longer tag, which nothing here has.
        if tag & 0x1f == 0x1f {
            return Err(Malformed);
        }
        let (first, after_first) = after_tag.split_first().ok_or(Malformed)?;
        let (length, content) = match first {
            short @ 0..=0x7f => (usize::from(*short), after_first),
            0x81..=0x83 => {
                let (digits, content) =
                    after_first.split_at_checked(usize::from(first & 0x7f)).ok_or(Malformed)?;
                let length = digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit));
                // X.690 10.1: the shortest form that holds it.
                let is_shortest = digits.first() != Some(&0) && length > 0x7f;
                (if is_shortest { length } else { return Err(Malformed) }, content)
            }
            _ => return Err(Malformed),
        };
        let (content, rest) = content.split_at_checked(length).ok_or(Malformed)?;
        let whole = self.0.get(..self.0.len() - rest.len()).ok_or(Malformed)?;
        self.0 = rest;
        Ok(Value { tag: *tag, content, whole })
    }

    /// The next value, which must have that tag.
    pub(super) fn one(&mut self, tag: u8) -> Result<Value<'a>, Malformed> {
        self.any().and_then(|value| if value.tag == tag { Ok(value) } else { Err(Malformed) })
    }

    /// The next value if it has that tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<Value<'a>>, Malformed> {
        if self.0.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

/// One value of these bytes and nothing after it.
pub(super) fn only(bytes: &[u8], tag: u8) -> Result<Value<'_>, Malformed> {
    let mut reader = Reader::new(bytes);
    let value = reader.one(tag)?;
    reader.end()?;
    Ok(value)
}

/// Writes a value of these parts.
pub fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = vec![tag];
    let digits = length.to_be_bytes();
    let digits = digits.get(digits.iter().take_while(|digit| **digit == 0).count()..).unwrap_or_default();
    match digits {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        digits => {
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(digits);
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![7; length];
            let written = encode(OCTET_STRING, &[&content]);
            assert_eq!(only(&written, OCTET_STRING).map(|value| value.content.to_vec()), Ok(content));
        }
    }

    #[test]
    fn refuses_what_is_not_der() {
        let mut long = vec![OCTET_STRING, 0x82, 0, 0x80];
        long.extend([0; 128]);
        for bytes in [
            &[][..],
            &[OCTET_STRING],
            &[OCTET_STRING, 1],
            &[OCTET_STRING, 0x80, 0, 0],
            &[OCTET_STRING, 0x81, 1, 0],
            &[OCTET_STRING, 0x84, 0, 0, 0, 0],
            &[0x1f, 1, 0],
            &[OCTET_STRING, 0, 0],
            &long,
        ] {
            assert!(only(bytes, OCTET_STRING).is_err(), "{bytes:?}");
        }
    }
}
