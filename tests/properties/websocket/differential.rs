//! The same bytes to another implementation, `tungstenite`: the same messages, the same verdict, the same close code.
//! Where the two differ the reason stands in `agree`; everything else is a fault of one of them.
//! Next: `src/wire/websocket/decode.rs`.

use std::io::{self, Cursor, Read, Write};

use mcpring::wire::websocket::encode::{encode_close, encode_ping, encode_pong, encode_text};
use mcpring::wire::websocket::fault::Fault;
use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{Message, Role, WebSocket, WebSocketConfig};

use super::{Conversation, Heard, MessageLimits, cuts, frames_like, hear};

/// No bound on fragments: the other one has none.
const LIMITS: MessageLimits = MessageLimits { fragments_max: u32::MAX, ..super::LIMITS };

/// Gives what there is to read and forgets what is written.
struct Tape(Cursor<Vec<u8>>);

impl Read for Tape {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.0.read(room)
    }
}

impl Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the other one says of the bytes: messages up to a close, and the code of the fault that ended it.
fn hear_theirs(input: &[u8], role: Role) -> (Vec<Heard>, Option<u16>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(LIMITS.message_bytes_max))
        .max_frame_size(Some(LIMITS.frame_bytes_max));
    let mut socket = WebSocket::from_raw_socket(Tape(Cursor::new(input.to_vec())), role, Some(config));
    let mut heard = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Heard::Text(text.as_str().to_owned())),
            Ok(Message::Binary(_)) => return (heard, Some(1003)),
            Ok(Message::Ping(payload)) => heard.push(Heard::Ping(payload.to_vec())),
            Ok(Message::Pong(payload)) => heard.push(Heard::Pong(payload.to_vec())),
            // It tells of a code that may not be sent by putting this in its place.
            Ok(Message::Close(Some(frame))) if frame.reason.as_str() == "Protocol violation" => {
                return (heard, Some(1002));
            }
            Ok(Message::Close(close)) => {
                let code = close.as_ref().map(|frame| u16::from(frame.code));
                let reason = close.map_or_else(String::new, |frame| frame.reason.as_str().to_owned());
                heard.push(Heard::Close(code, reason));
                return (heard, None);
            }
            Ok(Message::Frame(_)) => unreachable!("never read"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (heard, None),
            Err(Error::Protocol(_)) => return (heard, Some(1002)),
            Err(Error::Utf8(_)) => return (heard, Some(1007)),
            Err(Error::Capacity(_)) => return (heard, Some(1009)),
            Err(other) => unreachable!("{other}"),
        }
    }
}

/// Whether the two verdicts are the same, or differ for a reason.
fn agree((heard, fault): &Conversation, (their_heard, code): &(Vec<Heard>, Option<u16>)) -> bool {
    let same = heard == their_heard;
    match (fault, code) {
        // 1014 was registered later than their list.
        (None, Some(1002)) if matches!(heard.last(), Some(Heard::Close(Some(1014), _))) => true,
        (None, None) => same,
        (Some(fault), Some(code)) if same && fault.code() == *code => true,
        // RFC 6455 5.2 wants minimal lengths; they take any, also where a control frame says by it that it is too long.
        (Some(Fault::LengthNotMinimal | Fault::ControlTooLong), _) => their_heard.starts_with(heard),
        // They take binary messages, and take them at their end.
        (Some(Fault::Binary), _) => their_heard.starts_with(heard),
        // They judge a frame when it is complete.
        (Some(_), None) => same,
        // A frame that breaks two rules: they look at its size before all else.
        (
            Some(
                Fault::ReservedBit
                | Fault::ReservedOpcode
                | Fault::NotMasked
                | Fault::FragmentedControl
                | Fault::LengthHighBit
                | Fault::NothingToContinue
                | Fault::MessageInMessage,
            ),
            Some(1009),
        ) => same,
        // A Close that breaks two rules: they look at its reason before its code.
        (Some(Fault::BadCloseCode), Some(1007)) => same,
        (_, _) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn two_implementations_agree(input in frames_like(), cuts in cuts()) {
        let ours = hear(&input, &cuts, true, LIMITS);
        let theirs = hear_theirs(&input, Role::Server);
        prop_assert!(agree(&ours, &theirs), "{:?}\n{:?}", ours, theirs);
    }

    #[test]
    fn two_implementations_agree_on_noise(input in vec(any::<u8>(), 0..60)) {
        let ours = hear(&input, &[], false, LIMITS);
        let theirs = hear_theirs(&input, Role::Server);
        prop_assert!(agree(&ours, &theirs), "{:?}\n{:?}", ours, theirs);
    }

    #[test]
    fn a_client_reads_what_the_server_writes(
        text in "(.|é){0,40}", payload in vec(any::<u8>(), 0..=125), code in 3000..5000_u16, reason in "(.|é){0,80}",
    ) {
        let mut out = Vec::new();
        encode_text(&mut out, text.as_bytes());
        encode_ping(&mut out, &payload);
        encode_pong(&mut out, &payload);
        encode_close(&mut out, Some(code), &reason);
        let (heard, fault) = hear_theirs(&out, Role::Client);
        prop_assert_eq!(fault, None);
        let Some(Heard::Close(closed, cut)) = heard.last() else { panic!("{heard:?}") };
        prop_assert!(*closed == Some(code) && reason.starts_with(cut.as_str()) && cut.len() + 3 >= reason.len().min(123));
        let expect = [Heard::Text(text), Heard::Ping(payload.clone()), Heard::Pong(payload)];
        prop_assert_eq!(&heard[..3], expect);
    }
}
