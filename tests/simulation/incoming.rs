//! An answer as it arrives, piece by piece: its head, then one body or the events of a stream as far as they are whole.
//! Never: an event that is not whole.
//! Next: `reader`, the client that takes it.

/// One event of a stream.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    /// Nothing in an event that only names a place.
    pub(crate) data: Option<serde_json::Value>,
}

/// What has arrived of one answer.
#[derive(Default)]
pub(crate) struct Incoming {
    bytes: Vec<u8>,
    head: Option<String>,
    /// A stream's bytes without the framing of chunks.
    text: Vec<u8>,
    is_whole: bool,
}

impl Incoming {
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head[9..12].parse().expect("a status"))
    }

    /// Whether nothing more belongs to it.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.as_ref()?.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
    }

    /// Takes bytes; what is whole by now comes back. A body that is no stream is one event.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        assert!(
            !self.is_whole || bytes.is_empty(),
            "bytes after the answer: {}",
            String::from_utf8_lossy(bytes)
        );
        self.bytes.extend_from_slice(bytes);
        if self.head.is_none() {
            let Some(at) = self.bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
                return Vec::new();
            };
            let head: Vec<u8> = self.bytes.drain(..at + 4).collect();
            self.head = Some(String::from_utf8(head).expect("a head is ASCII"));
        }
        if self.field("transfer-encoding:").is_some() {
            self.take_chunks();
            return self.take_events();
        }
        let length: usize =
            self.field("content-length:").map_or(0, |length| length.parse().expect("a length"));
        if self.is_whole || self.bytes.len() < length {
            return Vec::new();
        }
        assert_eq!(self.bytes.len(), length, "more than the answer has arrived");
        self.is_whole = true;
        if length == 0 {
            return Vec::new();
        }
        let body = serde_json::from_slice(&self.bytes).expect("a body is JSON");
        vec![Event { id: None, data: Some(body) }]
    }

    fn take_chunks(&mut self) {
        while let Some(line) = self.bytes.windows(2).position(|window| window == b"\r\n") {
            let digits = std::str::from_utf8(&self.bytes[..line]).expect("hex is ASCII");
            let size = usize::from_str_radix(digits, 16).expect("a size");
            let end = line + 2 + size;
            if self.bytes.len() < end + 2 {
                return;
            }
            assert_eq!(&self.bytes[end..end + 2], b"\r\n", "a chunk ends");
            self.text.extend_from_slice(&self.bytes[line + 2..end]);
            self.bytes.drain(..end + 2);
            if size == 0 {
                self.is_whole = true;
                assert!(self.bytes.is_empty(), "more than the stream has arrived");
                return;
            }
        }
    }

    fn take_events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(end) = self.text.windows(2).position(|window| window == b"\n\n") {
            let lines: Vec<u8> = self.text.drain(..end + 2).collect();
            let lines = String::from_utf8(lines).expect("events are text");
            let field = |name: &str| lines.lines().find_map(|line| line.strip_prefix(name));
            let (id, data) = (field("id: ").map(str::to_owned), field("data: "));
            let data = data.filter(|data| !data.is_empty());
            if id.is_some() || data.is_some() {
                // Where the messages of a pair are posted is no message.
                let is_endpoint = field("event: ") == Some("endpoint");
                let data = data.map(|data| {
                    if is_endpoint {
                        return serde_json::Value::from(data);
                    }
                    serde_json::from_str(data).expect("an event's data is JSON")
                });
                events.push(Event { id, data });
            }
        }
        assert!(!self.is_whole || self.text.is_empty(), "half an event at the end");
        events
    }
}
