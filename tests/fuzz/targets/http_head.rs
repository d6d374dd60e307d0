//! Any bytes as a request head: no panic, no way past a limit, one reading however the bytes are cut.
//! The first byte of the input chooses where to cut.
//! Next: `src/wire/http/head`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::http::head::{FieldStorage, Head, HeadError, HeadLimits, HeadScan, decode, field_storage};
use mcpring::wire::http::negotiation::{Acceptable, content_type_is_json};

/// Small, so that short inputs reach every limit.
const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 512, fields_max: 8, target_bytes_max: 64 };

fn scan(input: &[u8], cuts: impl Iterator<Item = usize>) -> Result<Option<usize>, HeadError> {
    let mut scan = HeadScan::default();
    for cut in cuts {
        if let Some(end) = scan.find_end(&input[..cut], &LIMITS)? {
            return Ok(Some(end));
        }
    }
    scan.find_end(input, &LIMITS)
}

fn assert_same(one: &Head<'_, '_>, other: &Head<'_, '_>) {
    assert_eq!((one.method, one.method_name), (other.method, other.method_name));
    assert_eq!((one.path, one.query, one.host), (other.path, other.query, other.host));
    assert_eq!((one.version, one.body), (other.version, other.body));
    assert_eq!((one.persistence, one.expectation), (other.persistence, other.expectation));
    assert!(one.fields().eq(other.fields()));
}

fn assert_strict(head: &Head<'_, '_>) {
    assert!(head.fields().count() <= LIMITS.fields_max);
    assert!(head.path.len() + head.query.map_or(0, |query| query.len() + 1) <= LIMITS.target_bytes_max);
    assert!(head.path.starts_with('/') || head.path == "*");
    for (name, value) in head.fields() {
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
        assert!(!value.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f));
        assert!(!value.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')));
        assert!(!value.last().is_some_and(|byte| matches!(byte, b' ' | b'\t')));
    }
    for name in ["host", "content-length", "transfer-encoding", "authorization", "origin", "expect"] {
        assert!(!head.has_twice(name), "{name} twice");
    }
    assert!(head.field("content-length").is_none() || head.field("transfer-encoding").is_none());
    assert_eq!(head.accept().count(), head.values("accept").count());
    let _ = (Acceptable::decode(head.accept()), head.known.content_type.map(content_type_is_json));
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let step = usize::from(*cut) + 1;
    let whole = scan(input, std::iter::empty());
    assert_eq!(scan(input, (0..input.len()).step_by(step)), whole);
    assert_eq!(scan(input, 0..input.len()), whole);

    let (mut storage, mut again): (FieldStorage<'_>, FieldStorage<'_>) = (field_storage(), field_storage());
    if let Ok(Some(end)) = whole {
        let head = &input[..end];
        assert!(end <= LIMITS.head_bytes_max);
        match (decode(head, &mut storage, &LIMITS), decode(head, &mut again, &LIMITS)) {
            (Ok(one), Ok(other)) => {
                assert_same(&one, &other);
                assert_strict(&one);
            }
            (one, other) => assert_eq!(one.err(), other.err()),
        }
    }
    // `decode` alone must be as strict as both together.
    let mut storage = field_storage();
    if decode(input, &mut storage, &LIMITS).is_ok() {
        assert_eq!(whole, Ok(Some(input.len())));
    }
});
