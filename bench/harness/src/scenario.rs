//! A scenario: one HTTP request, written down in a JSON file, and what its answer must say.
//! Never: state between requests; the same bytes are sent every time, so that only the server is measured.
//! Next: [`crate::answer`].

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// One request and the proof that it was answered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Short name, written into every result line.
    pub name: String,
    /// HTTP method.
    pub method: String,
    /// Request target, starting with a slash.
    pub path: String,
    /// Header fields in order, without Host and Content-Length; `@KEY@` stands for the API key.
    pub headers: Vec<(String, String)>,
    /// JSON body, sent compactly and in the file's key order.
    pub body: Value,
    /// What the answer has to contain.
    pub expect: Expected,
}

/// What a right answer looks like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The JSON-RPC id, same type and value.
    pub id: Value,
    /// `result.content[0].text`.
    pub text: String,
}

impl Scenario {
    /// Loads a scenario file.
    ///
    /// # Errors
    /// When the file is missing or is no scenario.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("scenario {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("scenario {}", path.display()))
    }

    /// Encodes the request as it goes over the wire, addressed to `host` (an authority) and carrying `key`.
    ///
    /// # Errors
    /// When a header carries a line break, which would forge another header.
    pub fn encode(&self, host: &str, key: &str) -> Result<Vec<u8>> {
        let body = serde_json::to_string(&self.body)?;
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        for (name, value) in &self.headers {
            // Whoever is asked by nobody who it is shows nothing.
            if key.is_empty() && value.contains("@KEY@") {
                continue;
            }
            let value = value.replace("@KEY@", key);
            if name.contains(['\r', '\n']) || value.contains(['\r', '\n']) {
                bail!("header {name} of scenario {} has a line break", self.name);
            }
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        Ok(head.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(header: &str) -> Scenario {
        Scenario {
            name: "t".into(),
            method: "POST".into(),
            path: "/mcp".into(),
            headers: vec![("Authorization".into(), header.into())],
            body: serde_json::json!({"z": 1, "a": 2}),
            expect: Expected { id: 1.into(), text: "hello".into() },
        }
    }

    #[test]
    fn encodes_in_order_with_key_and_length() {
        let bytes = scenario("Bearer @KEY@").encode("localhost:1", "k").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let want = "POST /mcp HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer k\r\nContent-Length: 13\r\n\r\n{\"z\":1,\"a\":2}";
        assert_eq!(text, want);
    }

    #[test]
    fn refuses_a_line_break_in_a_header() {
        assert!(scenario("a\r\nB: c").encode("h", "k").is_err());
    }
}
