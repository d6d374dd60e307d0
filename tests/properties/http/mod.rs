//! Laws of the HTTP/1.1 codec: cuts change nothing, what is encoded is decoded, limits hold, nothing panics.
//! Next: `smuggling` for the requests that must never pass, `src/wire/http` for what is tested.

mod smuggling;

use std::fmt::Write as _;

use mcpring::wire::http::chunked::{Chunked, ChunkedError, ChunkedLimits, ChunkedStep};
use mcpring::wire::http::head::{BodyLength, HeadError, HeadLimits, HeadScan, decode, field_storage};
use mcpring::wire::http::negotiation::{Acceptable, content_type_is_json};
use mcpring::wire::sse::encode_event;
use proptest::collection::vec;
use proptest::prelude::*;

/// Everything a head says, owned, so that two readings can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedHead {
    method: String,
    path: String,
    query: Option<String>,
    host: Option<String>,
    facts: String,
    fields: Vec<(String, Vec<u8>)>,
}

fn own(bytes: &[u8], limits: &HeadLimits) -> Result<OwnedHead, HeadError> {
    let mut storage = field_storage();
    decode(bytes, &mut storage, limits).map(|head| OwnedHead {
        method: head.method_name.to_owned(),
        path: head.path.to_owned(),
        query: head.query.map(str::to_owned),
        host: head.host.map(str::to_owned),
        facts: format!("{:?}{:?}{:?}{:?}", head.version, head.body, head.persistence, head.expectation),
        fields: head.fields().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
    })
}

/// Feeds `input` in pieces; the verdict, with the length of the head when there is one.
fn read_head(
    input: &[u8],
    cuts: &[usize],
    limits: &HeadLimits,
) -> Result<Option<(usize, OwnedHead)>, HeadError> {
    let mut scan = HeadScan::default();
    for arrived in cuts.iter().copied().chain([input.len()]) {
        if let Some(end) = scan.find_end(&input[..arrived.min(input.len())], limits)? {
            return own(&input[..end], limits).map(|head| Some((end, head)));
        }
    }
    Ok(None)
}

/// Feeds `input` in pieces, closing gaps as told; payload and the number of bytes used, when complete.
fn read_chunked(
    input: &[u8],
    cuts: &[usize],
    compacting: bool,
    limits: ChunkedLimits,
) -> Result<Option<(Vec<u8>, usize)>, ChunkedError> {
    let mut chunked = Chunked::new(limits);
    let mut region = Vec::new();
    let mut arrived = 0;
    let mut shrunk = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(arrived, input.len());
        region.extend_from_slice(&input[arrived..cut]);
        arrived = cut;
        let step = chunked.decode(&mut region)?;
        assert!(chunked.body_bytes() as u64 <= limits.body_bytes_max, "payload over its limit");
        match step {
            ChunkedStep::Done { body_bytes, consumed } => {
                return Ok(Some((region[..body_bytes].to_vec(), consumed + shrunk)));
            }
            ChunkedStep::NeedMore if compacting => {
                let gap = chunked.compact(&mut region);
                region.truncate(region.len() - gap);
                shrunk += gap;
                assert_eq!(region.len(), chunked.body_bytes(), "only payload is held after closing the gap");
            }
            ChunkedStep::NeedMore => {}
        }
    }
    Ok(None)
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0..600_usize, 0..12).prop_map(|mut cuts| {
        cuts.sort_unstable();
        cuts
    })
}

/// Small enough that generated input reaches every limit.
const HEAD_LIMITS: HeadLimits = HeadLimits { head_bytes_max: 300, fields_max: 6, target_bytes_max: 40 };
const CHUNKED_LIMITS: ChunkedLimits = ChunkedLimits {
    body_bytes_max: 200,
    extension_bytes_max: 8,
    trailer_bytes_max: 40,
    overhead_bytes_max: 100,
};

/// Pieces that heads are made of, right and wrong.
fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(vec![
            "GET / HTTP/1.1\r\n", "POST /mcp HTTP/1.1\r\n", "\r\n", "\r\n\r\n", "Host: a\r\n", "Host: [::1]:80\r\n",
            "GET http://a/b?c HTTP/1.0\r\n", "OPTIONS * HTTP/1.1\r\n", "Content-Length: 5\r\n", "Expect: 100-continue\r\n",
            "Transfer-Encoding: chunked\r\n", "Connection: close, keep-alive\r\n", "Accept: */*\r\n", "X: y\r\n",
            "Content-Length: ", "0", "chunked", ", ", ":", " ", "\t", "\r", "\n", "\0", "%2f", "#", "\u{e9}", "HTTP/2.0",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn chunked_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(vec![
            "0\r\n", "\r\n", "1\r\nx\r\n", "5\r\nhello\r\n", "a;ext=1\r\n0123456789\r\n", "0\r\n\r\n", "X: y\r\n", "Host: a\r\n",
            "f", "0", "00000000", ";", ":", " ", "\t", "\r", "\n", "\0", "ff\r\n", "GET / HTTP/1.1\r\n",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    /// A valid head and what must be read from it.
    fn valid_head()(
        method in "(GET|POST|DELETE|OPTIONS|[A-Z!#$%&'*+.^_`|~-]{1,20})".prop_filter("CONNECT has no origin-form", |method| method != "CONNECT"),
        path in "/[A-Za-z0-9._~!$&'()*+,;=:@/-]{0,20}(%[0-9A-Fa-f]{2})?",
        query in proptest::option::of("[A-Za-z0-9._~!$&'()*+,;=:@/?-]{0,12}"),
        host in "([a-z0-9.-]{1,12}|\\[::1\\]|127\\.0\\.0\\.1)(:[1-9][0-9]{0,3})?",
        body in prop_oneof![Just(BodyLength::None), any::<u64>().prop_map(BodyLength::Length), Just(BodyLength::Chunked)],
        others in vec(("x-[A-Za-z0-9!#$%&'*+.^_`|~-]{1,10}", "([!-~]([ -~\t]{0,12}[!-~])?)?", "[ \t]{0,2}", "[ \t]{0,2}"), 0..8),
        leading in "(\r\n)?",
    ) -> (Vec<u8>, OwnedHead) {
        let mut text = format!("{leading}{method} {path}");
        if let Some(query) = &query {
            write!(text, "?{query}").expect("a String takes everything");
        }
        write!(text, " HTTP/1.1\r\nhOsT: {host}\r\n").expect("a String takes everything");
        let mut fields = vec![("hOsT".to_owned(), host.clone().into_bytes())];
        let framing = match body {
            BodyLength::None => None,
            BodyLength::Length(length) => Some(("content-length".to_owned(), length.to_string())),
            BodyLength::Chunked => Some(("Transfer-Encoding".to_owned(), "chunked".to_owned())),
        };
        for (name, value, before, after) in framing
            .map(|(name, value)| (name, value, String::new(), String::new()))
            .into_iter()
            .chain(others)
        {
            write!(text, "{name}:{before}{value}{after}\r\n").expect("a String takes everything");
            fields.push((name, value.into_bytes()));
        }
        text.push_str("\r\n");
        let facts = format!("Http11{body:?}KeepAliveNone");
        (text.into_bytes(), OwnedHead { method, path, query, host: Some(host), facts, fields })
    }
}

prop_compose! {
    /// A valid chunked body and its payload.
    fn valid_chunked()(
        chunks in vec((vec(any::<u8>(), 1..40), "0{0,3}", any::<bool>(), "(;[a-z]{1,4}(=[a-z0-9]{1,2})?)?"), 0..6),
        trailers in vec(("x-[a-z]{1,4}", "[ -~]{0,4}"), 0..3),
    ) -> (Vec<u8>, Vec<u8>) {
        let mut body = Vec::new();
        for (chunk, zeros, upper, extension) in &chunks {
            let size = if *upper { format!("{:X}", chunk.len()) } else { format!("{:x}", chunk.len()) };
            body.extend_from_slice(format!("{zeros}{size}{extension}\r\n").as_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            body.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        (body, chunks.into_iter().flat_map(|(chunk, ..)| chunk).collect())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn cuts_do_not_change_a_head(input in head_like(), cuts in cuts()) {
        let whole = read_head(&input, &[], &HEAD_LIMITS);
        let each_byte: Vec<usize> = (0..input.len()).collect();
        prop_assert_eq!(&read_head(&input, &cuts, &HEAD_LIMITS), &whole);
        prop_assert_eq!(&read_head(&input, &each_byte, &HEAD_LIMITS), &whole);
        if let Ok(Some((end, head))) = whole {
            prop_assert!(end <= HEAD_LIMITS.head_bytes_max);
            prop_assert!(head.fields.len() <= HEAD_LIMITS.fields_max);
            prop_assert!(head.path.len() <= HEAD_LIMITS.target_bytes_max);
        }
    }

    #[test]
    fn cuts_do_not_change_a_chunked_body(input in chunked_like(), cuts in cuts()) {
        let whole = read_chunked(&input, &[], false, CHUNKED_LIMITS);
        let each_byte: Vec<usize> = (0..input.len()).collect();
        for compacting in [false, true] {
            prop_assert_eq!(&read_chunked(&input, &cuts, compacting, CHUNKED_LIMITS), &whole);
            prop_assert_eq!(&read_chunked(&input, &each_byte, compacting, CHUNKED_LIMITS), &whole);
        }
    }

    #[test]
    fn reads_every_valid_head((input, expect) in valid_head(), rest in vec(any::<u8>(), 0..20), cuts in cuts()) {
        let all = [input.as_slice(), rest.as_slice()].concat();
        let limits = HeadLimits::default();
        prop_assert_eq!(read_head(&all, &cuts, &limits), Ok(Some((input.len(), expect))));
    }

    #[test]
    fn reads_every_valid_chunked_body(
        (input, payload) in valid_chunked(), rest in vec(any::<u8>(), 0..20), cuts in cuts(), compacting: bool,
    ) {
        let all = [input.as_slice(), rest.as_slice()].concat();
        let limits = ChunkedLimits::default();
        prop_assert_eq!(read_chunked(&all, &cuts, compacting, limits), Ok(Some((payload, input.len()))));
    }

    #[test]
    fn decode_refuses_what_the_scan_refuses(input in head_like()) {
        let mut scan = HeadScan::default();
        let found = scan.find_end(&input, &HEAD_LIMITS);
        if let Ok(head) = own(&input, &HEAD_LIMITS) {
            prop_assert_eq!(found, Ok(Some(input.len())), "{:?}", head);
        }
    }

    #[test]
    fn no_bytes_panic(input in vec(any::<u8>(), 0..200)) {
        let head = own(&input, &HeadLimits::default());
        prop_assert!(head.is_err() || input.ends_with(b"\r\n\r\n"));
        if let Ok(found) = read_chunked(&input, &[], true, ChunkedLimits::default()) {
            prop_assert!(found.is_none_or(|(payload, used)| payload.len() < used));
        }
        prop_assert!(!content_type_is_json(&input) || input.len() >= "application/json".len());
        // Ranges without a slash or a quote are unreadable and must not spoil the readable ones.
        let noise: Vec<u8> = input.iter().copied().filter(|byte| !matches!(byte, b'/' | b'"')).collect();
        let found = Acceptable::decode([noise.as_slice(), b"application/json", b"text/event-stream;q=0"]);
        prop_assert_eq!(found, Acceptable { json: true, event_stream: false });
    }

    #[test]
    fn an_event_is_read_as_it_was_written(
        id in proptest::option::of("[^\r\n\0]{0,8}"),
        event in proptest::option::of("[^\r\n\0]{1,8}"),
        data in "([a-z:{} ]|\r|\n){0,40}",
    ) {
        let mut out = Vec::new();
        encode_event(&mut out, id.as_deref(), event.as_deref(), data.as_bytes()).expect("safe fields");
        let text = String::from_utf8(out).expect("text in, text out");
        let (lines, end) = text.split_at(text.len() - 2);
        prop_assert_eq!(end, "\n\n");
        let value_of = |name: &str| lines.split('\n').filter_map(|line| line.strip_prefix(name)).collect::<Vec<_>>();
        prop_assert!(lines.split('\n').all(|line| !line.is_empty() && !line.contains('\r')));
        prop_assert_eq!(value_of("id: "), id.as_deref().into_iter().collect::<Vec<_>>());
        prop_assert_eq!(value_of("event: "), event.as_deref().into_iter().collect::<Vec<_>>());
        let joined = value_of("data: ").join("\n");
        prop_assert_eq!(joined, data.replace("\r\n", "\n").replace('\r', "\n"));
    }
}
