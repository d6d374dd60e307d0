//! A token's bytes become its header and its claims, or a flaw. Strict, because what two readers take for two tokens
//! is how tokens are forged: no padding, no second member of a name, nothing after the end.
//! Never: a key, a time, trust; everything here was written by whoever sent the token.
//! Next: `keys`, which says whether its issuer wrote it.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::Flaw;
use super::keys::Algorithm;

/// Longest token that is looked at. Bytes.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Longest header, encoded. Bytes.
const HEADER_BYTES_MAX: usize = 2 * 1024;
/// Longest name of a key. Bytes.
pub(super) const KEY_ID_BYTES_MAX: usize = 256;
/// How deep claims may be nested.
const DEPTH_MAX: usize = 16;

/// RFC 7515 2: base64url without padding. A last character whose unused bits are set is another spelling of the
/// same bytes, and refused.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(false),
);

/// What is read of a header. `jku`, `x5u`, `jwk` and `x5c` name or carry keys; nothing here can follow them.
#[derive(Debug, PartialEq, Eq)]
pub struct Header {
    /// How the token is signed, by its own word.
    pub algorithm: Algorithm,
    /// Which key signed it, by its own word.
    pub key_id: Option<String>,
    /// What kind of token it is, lower case, without `application/`; `jwt` when it does not say.
    pub kind: String,
}

/// A token taken apart. Nothing of it is proven.
pub struct Read<'t> {
    /// Its header.
    pub header: Header,
    /// Its claims.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub signed: &'t str,
    /// The signature, encoded.
    pub signature: &'t str,
}

/// Whether a credential has the form of a token at all.
pub fn is_token(credential: &[u8]) -> bool {
    memchr::memchr_iter(b'.', credential).count() == 2
}

/// Takes a token apart.
///
/// # Errors
/// The first flaw in it.
// RFC 7515 5.2, RFC 7519 7.2.
pub fn read(token: &[u8]) -> Result<Read<'_>, Flaw> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Flaw::Size);
    }
    let token = std::str::from_utf8(token).map_err(|_| Flaw::Form)?;
    let (signed, signature) = token.rsplit_once('.').ok_or(Flaw::Form)?;
    let (header, claims) = signed.split_once('.').ok_or(Flaw::Form)?;
    // More parts are a JWE, fewer are nothing. RFC 7516 3.1.
    if claims.contains('.') {
        return Err(Flaw::Form);
    }
    if header.len() > HEADER_BYTES_MAX {
        return Err(Flaw::Size);
    }
    let header = read_header(&read_object(header)?)?;
    let claims = read_object(claims)?;
    if decode_base64url(signature).is_none_or(|bytes| bytes.is_empty()) {
        return Err(Flaw::Form);
    }
    Ok(Read { header, claims, signed, signature })
}

/// The bytes of a strict base64url text.
pub(super) fn decode_base64url(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text).ok()
}

/// The first two parts of what may be a token, for people to look at.
pub fn peek(token: &[u8]) -> [Option<Value>; 2] {
    let mut parts = token.split(|byte| *byte == b'.').map(|part| {
        let text = std::str::from_utf8(part).ok().filter(|text| text.len() <= TOKEN_BYTES_MAX)?;
        decode_json(&decode_base64url(text)?).filter(Value::is_object)
    });
    [parts.next().flatten(), parts.next().flatten()]
}

fn read_object(encoded: &str) -> Result<Map<String, Value>, Flaw> {
    let bytes = decode_base64url(encoded).ok_or(Flaw::Form)?;
    match decode_json(&bytes) {
        Some(Value::Object(object)) => Ok(object),
        Some(_) | None => Err(Flaw::Form),
    }
}

fn read_header(header: &Map<String, Value>) -> Result<Header, Flaw> {
    let text = |name: &str, flaw: Flaw| match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(flaw),
    };
    let algorithm = text("alg", Flaw::Algorithm)?.ok_or(Flaw::Algorithm)?;
    // RFC 7515 4.1.11: what must be understood and is not. RFC 7797, RFC 7516: another payload than a JWT's. RFC 7519
    // 5.2: a token in a token.
    if ["crit", "b64", "enc", "zip", "cty"].iter().any(|name| header.contains_key(*name)) {
        return Err(Flaw::Extension);
    }
    let key_id = text("kid", Flaw::KeyId)?;
    if key_id.is_some_and(|id| id.is_empty() || id.len() > KEY_ID_BYTES_MAX) {
        return Err(Flaw::KeyId);
    }
    let kind = text("typ", Flaw::Kind)?.unwrap_or("jwt").to_ascii_lowercase();
    // RFC 7515 4.1.9: the prefix may be left out.
    let kind = kind.strip_prefix("application/").unwrap_or(&kind).to_owned();
    // RFC 7518 3.1: names are case-sensitive. `none` is no algorithm, in whatever case.
    let algorithm = Algorithm::decode(algorithm).ok_or(Flaw::Algorithm)?;
    Ok(Header { algorithm, key_id: key_id.map(str::to_owned), kind })
}

/// The JSON in `bytes`, if it is that and nothing else, and no object in it has a name twice.
pub(super) fn decode_json(bytes: &[u8]) -> Option<Value> {
    let mut decoder = serde_json::Deserializer::from_slice(bytes);
    let value = Unique { depth: 0 }.deserialize(&mut decoder).ok()?;
    decoder.end().ok()?;
    Some(value)
}

/// A value in whose objects every name stands once.
// RFC 7519 4: a reader refuses a second claim of a name, or takes the last. Readers differ, so we refuse.
#[derive(Clone, Copy)]
struct Unique {
    depth: usize,
}

impl Unique {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX { Err(E::custom("nested too deep")) } else { Ok(Self { depth }) }
    }
}

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, decoder: D) -> Result<Value, D::Error> {
        decoder.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(seed)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encode(bytes: &[u8]) -> String {
        BASE64URL.encode(bytes)
    }

    fn header(text: &str) -> Result<Header, Flaw> {
        let token = format!("{}.{}.{}", encode(text.as_bytes()), encode(b"{}"), encode(b"s"));
        read(token.as_bytes()).map(|read| read.header)
    }

    #[test]
    fn reads_the_parts_of_a_token() {
        let token = format!(
            "{}.{}.{}",
            encode(br#"{"alg":"ES256","kid":"a","typ":"application/AT+JWT","jku":"https://evil","jwk":{},"x5c":[]}"#),
            encode(br#"{"iss":"i","n":[1,-1,1.5,null,true,{"a":"b"}]}"#),
            encode(b"signature"),
        );
        let read = read(token.as_bytes()).unwrap();
        let header = Header { algorithm: Algorithm::Es256, key_id: Some("a".into()), kind: "at+jwt".into() };
        assert_eq!(read.header, header);
        assert_eq!(
            Value::Object(read.claims),
            json!({"iss": "i", "n": [1, -1, 1.5, null, true, {"a": "b"}]})
        );
        assert_eq!(format!("{}.{}", read.signed, read.signature), token);
    }

    #[test]
    fn refuses_each_flaw_of_a_header() {
        for (text, flaw) in [
            (r#"{"alg":"ES256","alg":"ES256"}"#, Flaw::Form),
            (r#"{"alg":"ES256"}}"#, Flaw::Form),
            (r#"{"alg":"ES256"} x"#, Flaw::Form),
            (r#"["ES256"]"#, Flaw::Form),
            (r#"{"alg":"none"}"#, Flaw::Algorithm),
            (r#"{"alg":"es256"}"#, Flaw::Algorithm),
            (r#"{"alg":["ES256"]}"#, Flaw::Algorithm),
            (r#"{"typ":"JWT"}"#, Flaw::Algorithm),
            (r#"{"alg":"ES256","crit":[]}"#, Flaw::Extension),
            (r#"{"alg":"ES256","b64":true}"#, Flaw::Extension),
            (r#"{"alg":"ES256","cty":"JWT"}"#, Flaw::Extension),
            (r#"{"alg":"ES256","kid":7}"#, Flaw::KeyId),
            (r#"{"alg":"ES256","kid":""}"#, Flaw::KeyId),
            (r#"{"alg":"ES256","typ":null}"#, Flaw::Kind),
        ] {
            assert_eq!(header(text), Err(flaw), "{text}");
        }
        assert_eq!(header(r#"{"alg":"ES256"}"#).unwrap().kind, "jwt");
    }

    #[test]
    fn refuses_what_is_no_token() {
        let (object, signature) = (encode(br#"{"alg":"ES256"}"#), encode(b"s"));
        for token in [
            String::new(),
            "a".into(),
            "..".into(),
            format!("{object}.{object}"),
            format!("{object}.{object}."),
            format!("{object}.{object}.{signature}.{signature}"),
            format!("{object}.{object}.{signature}.{signature}.{signature}"),
            format!("{object}=.{object}.{signature}"),
            format!("{object}.{object}.{signature}="),
            // `cw` is "s"; `cx` spells it with an unused bit set.
            format!("{object}.{object}.cx"),
            format!("{object}.{object}.c+"),
            format!(" {object}.{object}.{signature}"),
            format!("{object}.{}.{signature}", encode(b"[]")),
            format!("{object}.{}.{signature}", encode(b"{\"a\":1,\"\\u0061\":2}")),
            format!("{object}.{}.{signature}", encode(b"{\"a\":{\"b\":1,\"b\":1}}")),
            format!("{object}.{}.{signature}", encode(b"{\"a\":1e999}")),
            format!("{object}.{}.{signature}", encode(b"\xef\xbb\xbf{}")),
            format!("{object}.{}.{signature}", encode(b"{\"a\":\"\xff\"}")),
            format!("{object}.{}.{signature}", encode(b"{\"a\":\"\\ud800\"}")),
            format!(
                "{object}.{}.{signature}",
                encode(format!("{{\"a\":{}1{}}}", "[".repeat(16), "]".repeat(16)).as_bytes())
            ),
        ] {
            assert_eq!(read(token.as_bytes()).err(), Some(Flaw::Form), "{token}");
        }
        let long = format!("{object}.{}.{signature}", "A".repeat(TOKEN_BYTES_MAX));
        assert_eq!(read(long.as_bytes()).err(), Some(Flaw::Size));
        let long = format!("{}.{object}.{signature}", "A".repeat(HEADER_BYTES_MAX + 1));
        assert_eq!(read(long.as_bytes()).err(), Some(Flaw::Size));
    }
}
