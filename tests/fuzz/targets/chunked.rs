//! Any bytes as a chunked body: no panic, no way past a limit, one reading however the bytes are cut.
//! The first byte of the input chooses where to cut.
//! Next: `src/wire/http/chunked`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpring::wire::http::chunked::{Chunked, ChunkedError, ChunkedLimits, ChunkedStep};

/// Small, so that short inputs reach every limit.
const LIMITS: ChunkedLimits = ChunkedLimits {
    body_bytes_max: 256,
    extension_bytes_max: 8,
    trailer_bytes_max: 48,
    overhead_bytes_max: 96,
};

/// The payload and how many bytes of the input it took, when the body is complete.
type Body = Option<(Vec<u8>, usize)>;

fn read(input: &[u8], step: usize, compacting: bool) -> Result<Body, ChunkedError> {
    let mut chunked = Chunked::new(LIMITS);
    let (mut region, mut shrunk) = (Vec::new(), 0);
    for piece in input.chunks(step) {
        region.extend_from_slice(piece);
        let step = chunked.decode(&mut region)?;
        assert!(chunked.body_bytes() as u64 <= LIMITS.body_bytes_max);
        match step {
            ChunkedStep::Done { body_bytes, consumed } => {
                assert_eq!(chunked.decode(&mut region), Ok(step));
                return Ok(Some((region[..body_bytes].to_vec(), consumed + shrunk)));
            }
            ChunkedStep::NeedMore if compacting => {
                let gap = chunked.compact(&mut region);
                region.truncate(region.len() - gap);
                shrunk += gap;
                assert_eq!(region.len(), chunked.body_bytes());
            }
            ChunkedStep::NeedMore => {}
        }
    }
    Ok(None)
}

/// Writes `payload` in chunks of `chunk_bytes`.
fn encode(payload: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in payload.chunks(chunk_bytes) {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else { return };
    let step = usize::from(*cut) + 1;
    let whole = read(input, usize::MAX, false);
    assert_eq!(read(input, usize::MAX, true), whole);
    for compacting in [false, true] {
        assert_eq!(read(input, step, compacting), whole);
        assert_eq!(read(input, 1, compacting), whole);
    }
    if let Ok(Some((payload, used))) = &whole {
        assert!(payload.len() < *used && *used <= input.len());
    }
    if input.len() as u64 <= LIMITS.body_bytes_max {
        let body = encode(input, step.max(16));
        assert_eq!(read(&body, step, true), Ok(Some((input.to_vec(), body.len()))));
    }
});
