//! How messages go to the server under test and come back: in HTTP, in lines, in WebSocket frames, or only from it, as
//! events.
//! Never: a state; the same bytes are sent for every request.
//! Next: [`crate::answer`], what a right answer is.

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::answer::{self, Wrong};
use crate::scenario::{Expected, Scenario};

/// The key of a message's metadata that stands for HTTP's `Authorization`.
const AUTHORIZATION: &str = "mcpring/authorization";

/// RFC 6455 5.2: a whole text message.
const TEXT: u8 = 0x81;

/// How messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Carriage {
    /// A request and a response each.
    Http,
    /// One a line; the first says who asks.
    Lines,
    /// One a frame, after an upgrade.
    WebSocket,
    /// Nothing is asked: events come.
    Events,
}

impl Carriage {
    /// Encodes what a client sends before its first request; empty when there is nothing.
    ///
    /// # Errors
    /// When the scenario cannot be encoded.
    pub fn opening(self, scenario: &Scenario, host: &str, key: &str) -> Result<Vec<u8>> {
        let get = |path: &str, fields: &str| {
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n{fields}\r\n")
                .into_bytes()
        };
        Ok(match self {
            Self::Http => Vec::new(),
            Self::Lines => {
                let mut body = scenario.body.clone();
                let meta = body.pointer_mut("/params/_meta").context("the scenario has metadata")?;
                let meta = meta.as_object_mut().context("metadata is an object")?;
                meta.insert(AUTHORIZATION.to_owned(), format!("Bearer {key}").into());
                format!("{body}\n").into_bytes()
            }
            Self::WebSocket => get(
                &scenario.path,
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n",
            ),
            Self::Events => get("/events", "Accept: text/event-stream\r\n"),
        })
    }

    /// Encodes the request.
    ///
    /// # Errors
    /// When the scenario cannot be encoded.
    pub fn request(self, scenario: &Scenario, host: &str, key: &str) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Http => scenario.encode(host, key)?,
            Self::Lines => format!("{}\n", scenario.body).into_bytes(),
            Self::WebSocket => frame(scenario.body.to_string().as_bytes())?,
            Self::Events => Vec::new(),
        })
    }

    /// Whether `bytes` begin with all that answers the opening.
    ///
    /// # Errors
    /// When the opening was refused.
    pub fn is_opened(self, bytes: &[u8]) -> Result<bool, Wrong> {
        let (status, has_event) = match self {
            Self::Http => return Ok(true),
            Self::Lines => return self.is_complete(bytes),
            Self::WebSocket => ("HTTP/1.1 101 ", false),
            Self::Events => ("HTTP/1.1 200 ", true),
        };
        let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(false) };
        if !bytes.starts_with(status.as_bytes()) {
            return Err(Wrong::new(format!("refused: {}", String::from_utf8_lossy(bytes))));
        }
        let events = bytes.get(end + 4..).unwrap_or_default();
        Ok(!has_event || events.windows(2).any(|end| end == b"\n\n"))
    }

    /// Whether `bytes` hold a complete answer, whatever it says.
    ///
    /// # Errors
    /// When the framing is malformed.
    pub fn is_complete(self, bytes: &[u8]) -> Result<bool, Wrong> {
        match self {
            Self::Http => answer::complete(bytes),
            Self::Lines | Self::WebSocket | Self::Events => Ok(self.decode(bytes)?.is_some()),
        }
    }

    /// Checks the answer at the start of `bytes`; `None` while it is incomplete, else how many bytes it took.
    ///
    /// # Errors
    /// When the answer is malformed or is not the one expected.
    pub fn check(self, bytes: &[u8], expected: &Expected) -> Result<Option<usize>, Wrong> {
        if self == Self::Http {
            return answer::check(bytes, expected);
        }
        let Some((message, taken)) = self.decode(bytes)? else { return Ok(None) };
        answer::check_body(message, expected)?;
        Ok(Some(taken))
    }

    /// The message at the start of `bytes`, and how many bytes it took.
    fn decode(self, bytes: &[u8]) -> Result<Option<(&[u8], usize)>, Wrong> {
        if self != Self::WebSocket {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            return Ok(end.and_then(|end| Some((bytes.get(..end)?, end + 1))));
        }
        let Some(([first, length], rest)) = bytes.split_first_chunk() else { return Ok(None) };
        if *first != TEXT || *length >= 127 {
            return Err(Wrong::new(format!("a frame that begins with {first:02x} {length:02x}")));
        }
        let (length, head) = match (*length, rest.split_first_chunk()) {
            (126, Some((length, _))) => (usize::from(u16::from_be_bytes(*length)), 4),
            (126, None) => return Ok(None),
            (length, _) => (usize::from(length), 2),
        };
        Ok(bytes.get(head..head + length).map(|message| (message, head + length)))
    }
}

/// A text message as a client sends it, masked as RFC 6455 5.3 asks; the bench draws no random numbers.
fn frame(payload: &[u8]) -> Result<Vec<u8>> {
    let mask = [0x11, 0xa2, 0x33, 0xc4];
    let length = u16::try_from(payload.len()).context("requests of the bench are short")?;
    let mut frame = vec![TEXT];
    match u8::try_from(length) {
        Ok(short @ 0..126) => frame.push(0x80 | short),
        Ok(_) | Err(_) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_an_answer_when_it_is_whole_and_no_more() {
        let expected = Expected { id: 1.into(), text: "hello".into() };
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}],"pad":"0123456789012345678901234567890123456789012345678901234567890"}}"#;
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let framed = [&[TEXT, 126], length.as_slice(), body.as_bytes()].concat();
        for (carriage, whole) in
            [(Carriage::Lines, format!("{body}\n").into_bytes()), (Carriage::WebSocket, framed)]
        {
            for cut in 0..whole.len() {
                assert_eq!(carriage.check(&whole[..cut], &expected).unwrap(), None, "{carriage:?} {cut}");
            }
            let twice = [whole.clone(), whole.clone()].concat();
            assert_eq!(carriage.check(&twice, &expected).unwrap(), Some(whole.len()));
            let other = Expected { id: 2.into(), text: "hello".into() };
            assert!(carriage.check(&whole, &other).is_err());
        }
    }
}
