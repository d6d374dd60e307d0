//! Tables for JSON decoding and encoding.
//! Next: `mod.rs`.

use super::encode::encode_str;
use super::*;

const LIMITS: JsonLimits = JsonLimits { depth_max: 8, nodes_max: 40 };

fn decode_with(text: &[u8], check: impl FnOnce(Result<Value<'_, '_>, JsonError>)) {
    let mut scratch = Scratch::default();
    let mut padded = text.to_vec();
    padded.resize(text.len() + PADDING, b'#');
    match scratch.decode(&mut padded, text.len(), LIMITS) {
        Ok(document) => {
            check(Ok(document.root()));
            scratch.recycle(document);
        }
        Err(error) => check(Err(error)),
    }
}

#[test]
fn refuses_what_is_not_json_within_limits() {
    let table: &[(&[u8], JsonError)] = &[
        (b"", JsonError::Syntax),
        (b"{", JsonError::Syntax),
        (b"{\"a\":1,}", JsonError::Syntax),
        (b"[1 2]", JsonError::Syntax),
        (b"nul", JsonError::Syntax),
        (b"{\"a\":1}x", JsonError::Syntax),
        (b"\"\xff\"", JsonError::Utf8),
        (b"\"\xc0\xaf\"", JsonError::Utf8),
        (b"[[[[[[[[[1]]]]]]]]]", JsonError::Depth),
        (
            b"[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]",
            JsonError::Nodes,
        ),
        (b"123456789012345678901234567890", JsonError::Number),
        (b"01", JsonError::Number),
    ];
    for (text, expected) in table {
        decode_with(text, |decoded| {
            assert_eq!(decoded.err(), Some(*expected), "{}", String::from_utf8_lossy(text));
        });
    }
}

#[test]
fn walks_members_and_skips_nested_values() {
    decode_with(br#"{"a":{"b":[1,{"c":2}]},"d":"x\ny","a":-3,"e":null}"#, |decoded| {
        let root = decoded.unwrap();
        let keys: Vec<_> = root.members().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "d", "a", "e"]);
        assert_eq!(root.member("d").unwrap().as_str(), Some("x\ny"));
        assert_eq!(root.members().nth(2).unwrap().1.as_integer(), Some(-3));
        assert!(root.member("e").unwrap().is_null());
        assert!(root.member("zz").is_none());
    });
}

#[test]
fn parses_a_part_into_a_type_that_borrows() {
    #[derive(serde::Deserialize)]
    struct Part<'a> {
        text: &'a str,
        number: u8,
    }
    let spare = SpareTape::default();
    decode_with(br#"{"skip":[1,2,{"x":[]}],"part":{"text":"a\"b","number":7}}"#, |decoded| {
        let part: Part<'_> = decoded.unwrap().member("part").unwrap().parse(&spare).unwrap();
        assert_eq!((part.text, part.number), ("a\"b", 7));
    });
    decode_with(br#"{"part":{"text":"a"}}"#, |decoded| {
        let error = decoded.unwrap().member("part").unwrap().parse::<Part<'_>>(&spare).err().unwrap();
        assert!(error.to_string().contains("number"), "{error}");
    });
}

#[test]
fn what_is_encoded_decodes_to_the_same_text() {
    for text in ["", "plain", "\"\\/\n\r\t\u{8}\u{c}\u{0}\u{1f}", "\u{e9}\u{1F600}\u{7f}"] {
        let mut out = Vec::new();
        encode_str(&mut out, text);
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }
}

use super::value::SpareTape;
