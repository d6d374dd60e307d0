//! The security headers of every response, made once from their preset.
//! Never: a header that depends on a request.
//! Next: `publish`, which puts them into a listener.

use bytes::Bytes;

use super::config::checked::HeaderPreset;

/// Whether browsers are told to use nothing but HTTPS for this host from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// On every TLS listener.
    Sent,
    /// Nowhere: `localhost` is shared with every other development server of this machine.
    Omitted,
}

/// The strict preset without HSTS. There is no Server header: it only tells an attacker where to look.
const STRICT_HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "geolocation=(), microphone=(), camera=(), payment=(), usb=(), magnetometer=(), gyroscope=(), accelerometer=()",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cache-control", "no-store"),
    // "1" is worse than nothing: the filter it switches on can be used to remove scripts one by one.
    ("x-xss-protection", "0"),
];

const HSTS_HEADER: (&str, &str) =
    ("strict-transport-security", "max-age=31536000; includeSubDomains; preload");

/// The header lines of every response, made once. Names are lower case, each line ends in CRLF.
pub fn encode_header_block(preset: HeaderPreset, hsts: Hsts) -> Bytes {
    let mut block = String::new();
    let mut encode = |&(name, value): &(&str, &str)| {
        block.extend([name, ": ", value, "\r\n"]);
    };
    match (preset, hsts) {
        (HeaderPreset::None, Hsts::Sent | Hsts::Omitted) => {}
        (HeaderPreset::Strict, Hsts::Omitted) => STRICT_HEADERS.iter().for_each(encode),
        (HeaderPreset::Strict, Hsts::Sent) => {
            // RFC 6797 7.2: never over plain HTTP.
            encode(&HSTS_HEADER);
            STRICT_HEADERS.iter().for_each(encode);
        }
    }
    Bytes::from(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(preset: HeaderPreset, hsts: Hsts) -> Vec<String> {
        let block = encode_header_block(preset, hsts);
        let text = std::str::from_utf8(&block).unwrap();
        assert!(text.is_empty() || text.ends_with("\r\n"));
        text.split_terminator("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn writes_the_strict_preset_once_each_in_lower_case() {
        let strict = lines(HeaderPreset::Strict, Hsts::Sent);
        let names: Vec<_> = strict.iter().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(names.len(), 11);
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
        for (line, name) in strict.iter().zip(&names) {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            assert!(name.bytes().all(plain), "{line}");
            assert!(line.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{line}");
        }
        assert!(!names.contains(&"server"));
        assert!(strict.contains(&"x-frame-options: DENY".to_owned()));
        assert_eq!(strict[0], "strict-transport-security: max-age=31536000; includeSubDomains; preload");
        assert_eq!(lines(HeaderPreset::Strict, Hsts::Omitted), &strict[1..]);
        assert!(lines(HeaderPreset::None, Hsts::Sent).is_empty());
    }
}
