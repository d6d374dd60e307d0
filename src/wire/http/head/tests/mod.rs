//! Tables for the request head: what is read and how, and what is refused with which error.
//! Next: `tests/properties/http` for the laws and the request smuggling vectors.

mod request_line;
mod fields;
mod bounds;

use super::*;

const LIMITS: HeadLimits = HeadLimits { head_bytes_max: 400, fields_max: 5, target_bytes_max: 40 };

fn read<T>(input: &[u8], look: impl FnOnce(&Head<'_, '_>) -> T) -> Result<T, HeadError> {
    let end = HeadScan::default().find_end(input, &LIMITS)?.expect("the table has whole heads");
    let mut storage = field_storage();
    decode(&input[..end], &mut storage, &LIMITS).map(|head| look(&head))
}

#[track_caller]
fn check_refused(input: impl AsRef<[u8]>, expect: HeadError) {
    let input = input.as_ref();
    let refused = read(input, |_| ()).expect_err("must be refused");
    assert_eq!(refused, expect, "{}", input.escape_ascii());
}

/// A refusal that the scan and `decode` word differently, each seeing it on its own.
#[track_caller]
fn check_refused_twice(input: impl AsRef<[u8]>, by_scan: HeadError, by_decode: HeadError) {
    let input = input.as_ref();
    assert_eq!(HeadScan::default().find_end(input, &LIMITS), Err(by_scan), "{}", input.escape_ascii());
    let mut storage = field_storage();
    assert_eq!(decode(input, &mut storage, &LIMITS).expect_err("must be refused"), by_decode);
}

fn with_fields(fields: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn with_target(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}
