//! From HTTP to a WebSocket: the same connection, the same caller, from the next byte on other rules.
//! Never: a WebSocket for a caller that HTTP would not let in.
//! Next: `incoming`, what comes in then.

use super::channel::Channel;
use super::note::Known;
use super::{Connection, Drain};
use crate::pipeline::event::Count;
use crate::pipeline::framing::messages::Messages;
use crate::pipeline::framing::{Caller, Framing};
use crate::pipeline::respond::{self, Carriage, Exchange, Refusal};
use crate::pipeline::snapshot::{Listener, Speech};
use crate::pipeline::turn::Turn;
use crate::wire::http::head::{Head, HeadScan};
use crate::wire::websocket::handshake;

impl Connection {
    /// Answers an opening handshake.
    pub(super) fn upgrade(
        &mut self,
        head: &Head<'_, '_>,
        caller: &Caller,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        let Speech::Http(transports) = &listener.speech else { return };
        let Some(websocket) = &transports.websocket else { return };
        let served: Vec<&str> = websocket.subprotocols.iter().map(String::as_str).collect();
        let judged = handshake::judge(head, &served).map_err(Refusal::Upgrade);
        let judged = if self.drain == Drain::Draining { Err(Refusal::Overloaded) } else { judged };
        match judged {
            Ok(upgrade) => {
                turn.count(Count::FramingUpgraded);
                respond::switch(turn, listener, &upgrade);
                let exchange = Exchange::multiplexed(Carriage::Frame);
                self.channel = Some(Box::new(Channel::new(exchange, Some(caller.principal.clone()), turn)));
                let messages = Messages::upgraded(websocket, listener.limits.message_bytes_max);
                self.framing = Framing::Messages(Box::new(messages));
                self.begin_life(listener, turn);
            }
            Err(refusal) => {
                turn.count(Count::FramingRefused);
                self.framing = Framing::Head(HeadScan::default());
                let exchange = self.skip_body(head, caller.exchange);
                let row = respond::refuse(turn, listener, exchange, &refusal, None);
                let known = Known { principal: Some(&caller.principal.id), ..Known::default() };
                self.note(turn, listener, row, known);
                self.answered(exchange, turn);
            }
        }
    }
}
