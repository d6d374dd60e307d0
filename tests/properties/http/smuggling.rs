//! Requests that two servers in a row could read differently: every one must be refused, at every cut.
//! Sources: RFC 9112 11.2 and the published families CL.TE, TE.CL, TE.TE, CL.0, TERM.EXT, EXT.TERM and bare line ends.
//! Next: `mod.rs`, the laws.

use super::{CHUNKED_LIMITS, read_chunked};
use mcpring::wire::http::chunked::ChunkedLimits;
use mcpring::wire::http::head::{BodyLength, HeadLimits, HeadScan, decode, field_storage};

/// What became of one request, or of the first part of it that could be judged.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Refused(u16),
    Undecided,
}

fn judge(input: &[u8], step: usize) -> Verdict {
    let limits = HeadLimits::default();
    let mut scan = HeadScan::default();
    let mut end = None;
    for arrived in (0..input.len()).step_by(step).chain([input.len()]) {
        match scan.find_end(&input[..arrived], &limits) {
            Ok(found) => end = found,
            Err(error) => return Verdict::Refused(error.status()),
        }
        if end.is_some() {
            break;
        }
    }
    let Some(end) = end else { return Verdict::Undecided };
    let (head, rest) = input.split_at(end);
    let mut storage = field_storage();
    match decode(head, &mut storage, &limits).map(|head| head.body) {
        Err(error) => Verdict::Refused(error.status()),
        Ok(BodyLength::None) => Verdict::Accepted,
        Ok(BodyLength::Length(length)) if length <= rest.len() as u64 => Verdict::Accepted,
        Ok(BodyLength::Length(_)) => Verdict::Undecided,
        Ok(BodyLength::Chunked) => {
            let cuts: Vec<usize> = (0..rest.len()).step_by(step).collect();
            match read_chunked(rest, &cuts, true, ChunkedLimits::default()) {
                Err(error) => Verdict::Refused(error.status()),
                Ok(Some(_)) => Verdict::Accepted,
                Ok(None) => Verdict::Undecided,
            }
        }
    }
}

#[track_caller]
fn check(input: impl AsRef<[u8]>, expect: &Verdict) {
    let input = input.as_ref();
    for step in [1, 2, 7, usize::MAX] {
        assert_eq!(judge(input, step), *expect, "{} by {step}", input.escape_ascii());
    }
}

#[test]
fn accepts_the_honest_request_that_the_vectors_are_made_from() {
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", &Verdict::Accepted);
    check(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        &Verdict::Accepted,
    );
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &Verdict::Accepted);
}

/// Field lines with the status they deserve; each follows `Host` in a POST whose body suits either reading.
const HEADS: &[(&[u8], u16)] = &[
    // CL.TE and TE.CL
    (b"Content-Length: 6\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 6", 400),
    (b"Content-Length: 6\r\nTransfer-Encoding:\tchunked", 400),
    (b"Content-Length: 6\r\ntransfer-encoding: CHUNKED", 400),
    (b"Content-Length: 0\r\nTransfer-Encoding: chunked", 400),
    (b"Content-Length: 6\r\nTransfer-Encoding: identity", 400),
    (b"Content-Length: 6\r\nTransfer-Encoding:", 400),
    // CL.CL
    (b"Content-Length: 6\r\nContent-Length: 5", 400),
    (b"Content-Length: 6\r\nContent-Length: 6", 400),
    (b"Content-Length: 6\r\ncontent-length: 0", 400),
    (b"Content-Length: 6, 5", 400),
    (b"Content-Length: 6,6", 400),
    (b"Content-Length: 6 5", 400),
    (b"Content-Length: +6", 400),
    (b"Content-Length: -6", 400),
    (b"Content-Length: 06", 400),
    (b"Content-Length: 0x6", 400),
    (b"Content-Length: 6.0", 400),
    (b"Content-Length: 6e0", 400),
    (b"Content-Length: \"6\"", 400),
    (b"Content-Length: 6;", 400),
    (b"Content-Length: ", 400),
    (b"Content-Length: six", 400),
    (b"Content-Length: 18446744073709551622", 400),
    (b"Content-Length: \xb2", 400),
    (b"Content-Length: 6\0", 400),
    (b"Content-Length: \x0b6", 400),
    (b"Content-Length : 6", 400),
    (b"Content-Length\t: 6", 400),
    (b" Content-Length: 6", 400),
    (b"X: y\r\n Content-Length: 6", 400),
    (b"Content-Length\0: 6", 400),
    (b"Content-Length:\r\n 6", 400),
    // TE.TE
    (b"Transfer-Encoding : chunked", 400),
    (b"Transfer-Encoding\t: chunked", 400),
    (b" Transfer-Encoding: chunked", 400),
    (b"\tTransfer-Encoding: chunked", 400),
    (b"X: y\r\n\tTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding:\r\n chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", 400),
    (b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", 400),
    (b"Transfer-Encoding: chunked, identity", 400),
    (b"Transfer-Encoding: chunked, chunked", 400),
    (b"Transfer-Encoding: chunked,", 400),
    (b"Transfer-Encoding: ,chunked", 400),
    (b"Transfer-Encoding: chunked;x=y", 400),
    (b"Transfer-Encoding: identity, chunked", 501),
    (b"Transfer-Encoding: gzip, chunked", 501),
    (b"Transfer-Encoding: xchunked", 501),
    (b"Transfer-Encoding: chunkedx", 501),
    (b"Transfer-Encoding: chunk", 501),
    (b"Transfer-Encoding: x chunked", 501),
    (b"Transfer-Encoding: \"chunked\"", 501),
    (b"Transfer-Encoding: 'chunked'", 501),
    (b"Transfer-Encoding: identity", 501),
    (b"Transfer-Encoding: \x0bchunked", 400),
    (b"Transfer-Encoding: chunked\x0c", 400),
    (b"Transfer-Encoding: \x00chunked", 400),
    (b"Transfer-Encoding: \x7fchunked", 400),
    (b"Transfer-Encoding: \xa0chunked", 400),
    (b"Transfer-Encoding: \xefchunked", 400),
    (b"Transfer-\0Encoding: chunked", 400),
    (b"Transfer Encoding: chunked", 400),
    (b"Transfer-Encoding\xa0: chunked", 400),
    (b"[Transfer-Encoding]: chunked", 400),
    (b"Transfer-Encoding", 400),
    (b": chunked", 400),
    // Line ends
    (b"X: y\nTransfer-Encoding: chunked", 400),
    (b"X: y\rTransfer-Encoding: chunked", 400),
    (b"X: y\r\rTransfer-Encoding: chunked", 400),
    (b"X: y\n\nGET /hidden HTTP/1.1", 400),
    (b"X: y\r\n\nGET /hidden HTTP/1.1", 400),
    (b"X: y\0\r\nContent-Length: 6", 400),
    // Two hosts
    (b"Host: b", 400),
    (b"host: a", 400),
    (b" Host: b", 400),
    (b"Host : b", 400),
    // Expectations that invite a second reading
    (b"Expect: 100-continue, x\r\nContent-Length: 6", 417),
    (b"Expect: y 100-continue\r\nContent-Length: 6", 417),
    (b"Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 6", 400),
];

#[test]
fn refuses_every_doubtful_head() {
    for (fields, status) in HEADS {
        let input = [b"POST / HTTP/1.1\r\nHost: a\r\n".as_slice(), fields, b"\r\n\r\n0\r\n\r\nG"].concat();
        check(input, &Verdict::Refused(*status));
    }
}

/// Request lines, with fields where those matter; each is followed by `Host`.
const REQUEST_LINES: &[(&[u8], u16)] = &[
    (b"POST / HTTP/1.1\n", 400),
    (b"POST / HTTP/1.1\r", 400),
    (b"POST  / HTTP/1.1\r\n", 400),
    (b"POST /  HTTP/1.1\r\n", 400),
    (b"POST / HTTP/1.1 \r\n", 400),
    (b"POST\t/ HTTP/1.1\r\n", 400),
    (b"POST /\x0bHTTP/1.1\r\n", 400),
    (b"POST /\xa0HTTP/1.1\r\n", 400),
    (b"POST / HTTP/1.1 HTTP/1.1\r\n", 400),
    (b"POST /a b HTTP/1.1\r\n", 400),
    (b"POST /\0 HTTP/1.1\r\n", 400),
    (b"POST /#x HTTP/1.1\r\n", 400),
    (b"POST /\\x HTTP/1.1\r\n", 400),
    (b"POST http://b/ HTTP/1.1\r\n", 400),
    (b"POST http://a@b/ HTTP/1.1\r\n", 400),
    (b"POST http://b@a/ HTTP/1.1\r\n", 400),
    (b"POST http://a:80/ HTTP/1.1\r\n", 400),
    (b"POST a:80 HTTP/1.1\r\n", 400),
    (b"CONNECT a:80 HTTP/1.1\r\n", 400),
    (b"POST * HTTP/1.1\r\n", 400),
    (b"POST /\r\n", 400),
    (b"POST / HTTP/1.1x\r\n", 400),
    (b"POST / HTTP/1.01\r\n", 400),
    (b"POST / HTTP /1.1\r\n", 400),
    (b"POST / HTTP/1.2\r\n", 505),
    (b"POST / HTTP/0.9\r\n", 505),
    (b"PRI * HTTP/2.0\r\n", 505),
    (b"\r\n\r\nPOST / HTTP/1.1\r\n", 400),
    (b"\nPOST / HTTP/1.1\r\n", 400),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400),
    (b"POST / HTTP/1.0\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n", 400),
];

#[test]
fn refuses_every_doubtful_request_line() {
    for (line, status) in REQUEST_LINES {
        check([line, b"Host: a\r\n\r\n0\r\n\r\nG".as_slice()].concat(), &Verdict::Refused(*status));
    }
}

/// Bodies after a head that says `chunked`.
const CHUNKS: &[(&[u8], u16)] = &[
    (b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    (b"+5\r\nhello\r\n0\r\n\r\n", 400),
    (b"-1\r\nhello\r\n0\r\n\r\n", 400),
    (b" 5\r\nhello\r\n0\r\n\r\n", 400),
    (b"5 \r\nhello\r\n0\r\n\r\n", 400),
    (b"5\t\r\nhello\r\n0\r\n\r\n", 400),
    (b"5 ;x\r\nhello\r\n0\r\n\r\n", 400),
    (b"5\0\r\nhello\r\n0\r\n\r\n", 400),
    (b"5_\r\nhello\r\n0\r\n\r\n", 400),
    (b"5g\r\nhello\r\n0\r\n\r\n", 400),
    (b"5,5\r\nhello\r\n0\r\n\r\n", 400),
    (b"\r\nhello\r\n0\r\n\r\n", 400),
    (b";x\r\nhello\r\n0\r\n\r\n", 400),
    (b"5\nhello\r\n0\r\n\r\n", 400),
    (b"5\rhello\r\n0\r\n\r\n", 400),
    (b"5\r\nhello\n0\r\n\r\n", 400),
    (b"5\r\nhelloXX0\r\n\r\n", 400),
    (b"5\r\nhello0\r\n\r\n", 400),
    (b"4\r\nhello\r\n0\r\n\r\n", 400),
    (b"6\r\nhello\r\n0\r\n\r\n", 400),
    (b"5;\nhello\r\n0\r\n\r\n", 400),
    (b"5;x\nhello\r\n0\r\n\r\n", 400),
    (b"5;x=\"\n\"\r\nhello\r\n0\r\n\r\n", 400),
    (b"5;x\rhello\r\n0\r\n\r\n", 400),
    (b"5;\0\r\nhello\r\n0\r\n\r\n", 400),
    (b"10000000000000005\r\nhello\r\n0\r\n\r\n", 413),
    (b"00000000000000005\r\nhello\r\n0\r\n\r\n", 400),
    (b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", 413),
    (b"5\r\nhello\r\n0\n\n", 400),
    (b"5\r\nhello\r\n0\r\n\n", 400),
    (b"5\r\nhello\r\n0\r\nX\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nX : y\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nX: y\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n", 400),
    (b"5\r\nhello\r\n0\r\nGET /hidden HTTP/1.1\r\nHost: a\r\n\r\n", 400),
];

#[test]
fn refuses_every_doubtful_chunk() {
    for (body, status) in CHUNKS {
        let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice();
        check([head, body].concat(), &Verdict::Refused(*status));
    }
}

#[test]
fn tiny_chunks_cannot_cost_more_than_the_overhead_limit() {
    let body = b"1\r\nx\r\n".repeat(1_000);
    let refused = read_chunked(&body, &[], true, CHUNKED_LIMITS).expect_err("too much framing");
    assert_eq!(refused.status(), 413);
}
