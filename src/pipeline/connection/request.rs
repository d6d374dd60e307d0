//! The first half of the straight line, decided from the head: `framing`, `authenticate`, `admit`. Then the body.
//! Never: a body awaited or parsed before its sender is known and has paid.
//! Next: `message`, the second half.

use super::note::Known;
use super::timing::Wait;
use super::{Connection, Drain, listener_of};
use crate::pipeline::admit::{Exhausted, Payer};
use crate::pipeline::authenticate::{self, Unknown, credential};
use crate::pipeline::event::Count;
use crate::pipeline::framing::{
    Asked, Caller, Coding, DISCARD_BYTES_MAX, Delivery, Framing, Inquiry, Upload, chunked, head_limits, judge,
};
use crate::pipeline::headers::Headers;
use crate::pipeline::respond::{self, Body, Carriage, Exchange, Extra, Refusal};
use crate::pipeline::snapshot::Listener;
use crate::pipeline::turn::Turn;
use crate::wire::http::chunked::ChunkedStep;
use crate::wire::http::head::{
    self, BodyLength, Expectation, Head, HeadError, HeadScan, Method, Persistence, field_storage,
};

/// A "no", and what the log says beside it.
pub(super) struct Denial<'t> {
    pub(super) refusal: Refusal<'static>,
    /// The name of the limit that had no token.
    pub(super) limit: Option<&'t str>,
}

impl From<Refusal<'static>> for Denial<'_> {
    fn from(refusal: Refusal<'static>) -> Self {
        Self { refusal, limit: None }
    }
}

/// What an accepted head is followed by.
enum Entry {
    /// Its body.
    Message(Caller),
    /// A session's stream.
    SessionStream(Caller),
    /// A session's end.
    SessionEnd(Caller),
    /// A WebSocket.
    WebSocket(Caller),
    /// A feed.
    Feed(Caller),
    /// The stream of a channel.
    EventChannel(Caller),
    /// A list of methods.
    Options,
    /// What OAuth clients have to know, or whether they may ask.
    Metadata(Inquiry),
}

impl Connection {
    /// Takes one step over `block[..filled]`, behind which there is padding; returns the bytes it is done with, or
    /// nothing when it needs more or is busy.
    pub(super) fn step(&mut self, block: &mut [u8], filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        match std::mem::replace(&mut self.framing, Framing::Busy) {
            Framing::Head(scan) => self.read_head(scan, block, filled, turn),
            Framing::Body(upload) => self.read_body(upload, block, filled, turn),
            Framing::Discard(left) => {
                let skipped = left.min(filled as u64);
                self.framing = if skipped == left {
                    Framing::Head(HeadScan::default())
                } else {
                    Framing::Discard(left - skipped)
                };
                usize::try_from(skipped).ok()
            }
            Framing::Messages(messages) => self.read_message(messages, block, filled, turn),
            Framing::Busy => None,
        }
    }

    fn read_head(
        &mut self,
        mut scan: HeadScan,
        block: &mut [u8],
        filled: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let limits = head_limits(&turn.snapshot.limits);
        let arrived = block.get(..filled)?;
        let end = match scan.find_end(arrived, &limits) {
            Ok(Some(end)) => end,
            Ok(None) => {
                self.framing = Framing::Head(scan);
                return None;
            }
            Err(error) => return self.refuse_head(error, filled, turn),
        };
        let (head_bytes, rest) = block.split_at_mut_checked(end)?;
        let mut storage = field_storage();
        match head::decode(head_bytes, &mut storage, &limits) {
            Ok(head) => self.begin(&head, end, rest, filled - end, turn),
            Err(error) => self.refuse_head(error, filled, turn),
        }
    }

    /// A head that can not be trusted: answer, then close, because nobody knows where the next one starts.
    fn refuse_head(&mut self, error: HeadError, filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        turn.count(Count::FramingRefused);
        let row = respond::refuse(turn, listener, Exchange::BROKEN, &Refusal::Head(error), None);
        self.note(turn, listener, row, Known::default());
        self.finish();
        Some(filled)
    }

    /// `framing`, `authenticate`, `admit`: all that is decided from the head. Then the body.
    fn begin(
        &mut self,
        head: &Head<'_, '_>,
        head_bytes: usize,
        rest: &mut [u8],
        arrived: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        turn.count(Count::FramingDecoded);
        // A request that has come in time owes nothing to the next: its deadline counts from its own first byte.
        self.wait = Wait::Idle;
        self.has_progressed = true;
        let listener = listener_of(turn.snapshot, self.listener)?;
        let exchange = Exchange {
            carriage: Carriage::Response,
            version: head.version,
            persistence: match self.drain {
                Drain::Serving => head.persistence,
                Drain::Draining => Persistence::Close,
            },
            body: if head.method == Method::Head { Body::Omitted } else { Body::Sent },
        };
        match self.decide(head, exchange, listener, turn) {
            Ok(Entry::Message(caller)) => self.await_body(head, caller, head_bytes, rest, arrived, turn),
            Ok(Entry::SessionStream(mut caller)) => {
                caller.exchange = self.skip_body(head, exchange);
                self.read_session(&Headers::decode(head), caller, turn);
                Some(head_bytes)
            }
            Ok(Entry::SessionEnd(mut caller)) => {
                caller.exchange = self.skip_body(head, exchange);
                self.end_session(&Headers::decode(head), &caller, turn);
                Some(head_bytes)
            }
            Ok(Entry::WebSocket(caller)) => {
                self.upgrade(head, &caller, listener, turn);
                Some(head_bytes)
            }
            Ok(Entry::Feed(mut caller)) => {
                caller.exchange = self.skip_body(head, exchange);
                self.read_feed(&Headers::decode(head), caller, listener, turn);
                Some(head_bytes)
            }
            Ok(Entry::EventChannel(mut caller)) => {
                caller.exchange = self.skip_body(head, exchange);
                self.open_event_channel(&caller, listener, turn);
                Some(head_bytes)
            }
            Ok(Entry::Options) => {
                let exchange = self.skip_body(head, exchange);
                respond::answer_empty(turn, listener, 204, exchange, &[Extra::Allow]);
                self.finish_after(exchange);
                Some(head_bytes)
            }
            Ok(Entry::Metadata(inquiry)) => {
                let exchange = self.skip_body(head, exchange);
                respond::answer_metadata(turn, listener, exchange, inquiry);
                self.finish_after(exchange);
                Some(head_bytes)
            }
            Err((refusal, known)) => {
                let exchange = self.skip_body(head, exchange);
                let row = respond::refuse(turn, listener, exchange, &refusal, None);
                // To send everybody elsewhere is what a redirect is for.
                if refusal != Refusal::Elsewhere {
                    self.note(turn, listener, row, known);
                }
                self.finish_after(exchange);
                Some(head_bytes)
            }
        }
    }

    /// Whether the head's sender may go on, and with what.
    fn decide<'t>(
        &mut self,
        head: &Head<'_, '_>,
        exchange: Exchange,
        listener: &Listener,
        turn: &mut Turn<'t>,
    ) -> Result<Entry, (Refusal<'static>, Known<'t>)> {
        let judged = judge(head, listener);
        let principal = match judged {
            Ok(
                asked @ (Asked::Message(_)
                | Asked::SessionStream
                | Asked::SessionEnd
                | Asked::WebSocket
                | Asked::Feed
                | Asked::EventChannel
                | Asked::Post(_)),
            ) => {
                let known = self.know(credential(listener, head), listener, turn);
                Some(known.map(|principal| (principal, asked)))
            }
            Ok(Asked::Options | Asked::Metadata(_)) | Err(_) => None,
        };
        // Whoever asks pays, also for a refusal, so that guessing and flooding are limited too. Who could not say who
        // it is pays from its own address's buckets only, or it could empty the one that all share.
        let payer = if matches!(principal, Some(Ok(_))) { Payer::Known } else { Payer::Unknown };
        if let Err(Denial { refusal, limit: detail }) = self.pay(payer, turn) {
            return Err((refusal, Known { detail, ..Known::default() }));
        }
        if let Err(refusal) = judged {
            turn.count(Count::FramingRefused);
            return Err((refusal, Known::default()));
        }
        match principal {
            None => Ok(match judged {
                Ok(Asked::Metadata(inquiry)) => Entry::Metadata(inquiry),
                Ok(_) | Err(_) => Entry::Options,
            }),
            Some(Ok((principal, asked))) => {
                turn.count(if principal.facts.method == authenticate::Method::Anonymous {
                    Count::AuthenticateAnonymous
                } else {
                    Count::AuthenticateAccepted
                });
                let caller = |delivery| Caller { principal, exchange, delivery, channel: None };
                Ok(match asked {
                    Asked::WebSocket => Entry::WebSocket(caller(Delivery::JsonOrStream)),
                    Asked::Feed => Entry::Feed(caller(Delivery::Stream)),
                    Asked::EventChannel => Entry::EventChannel(caller(Delivery::Stream)),
                    Asked::Post(channel) => {
                        Entry::Message(Caller { channel: Some(channel), ..caller(Delivery::Json) })
                    }
                    Asked::Message(delivery) => Entry::Message(caller(delivery)),
                    Asked::SessionStream => Entry::SessionStream(caller(Delivery::Stream)),
                    Asked::SessionEnd => Entry::SessionEnd(caller(Delivery::Json)),
                    Asked::Options => Entry::Options,
                    Asked::Metadata(inquiry) => Entry::Metadata(inquiry),
                })
            }
            Some(Err(why)) => {
                turn.count(Count::AuthenticateRefused);
                let known = Known { detail: Some(Unknown::reason(why)), ..Known::default() };
                Err((why.into(), known))
            }
        }
    }

    /// `admit`: a token from every bucket.
    pub(super) fn pay<'t>(&self, payer: Payer, turn: &mut Turn<'t>) -> Result<(), Denial<'t>> {
        match turn.work.buckets.admit(self.peer.address(), payer, turn.now.ms) {
            Ok(()) => {
                turn.count(Count::AdmitAccepted);
                Ok(())
            }
            Err(Exhausted { retry_after_ms, limit }) => {
                turn.count(Count::AdmitRefused);
                let limit = turn.snapshot.rate_limits.get(limit).map(|limit| limit.name.as_str());
                Err(Denial { refusal: Refusal::RateLimited { retry_after_ms }, limit })
            }
        }
    }

    /// After a head that is answered without its body: skips a short body; before a long one the answer is the last.
    pub(super) fn skip_body(&mut self, head: &Head<'_, '_>, exchange: Exchange) -> Exchange {
        let is_short = match head.body {
            BodyLength::None => Some(0),
            // RFC 9110 10.1.1: a client that waits for 100 may or may not send the body after a final answer.
            BodyLength::Length(bytes) if bytes > 0 && head.expectation == Expectation::Continue => None,
            BodyLength::Length(bytes) => Some(bytes).filter(|bytes| *bytes <= DISCARD_BYTES_MAX),
            BodyLength::Chunked => None,
        };
        let persistence = match is_short {
            Some(0) => {
                self.framing = Framing::Head(HeadScan::default());
                exchange.persistence
            }
            Some(bytes) => {
                self.framing = Framing::Discard(bytes);
                exchange.persistence
            }
            None => Persistence::Close,
        };
        Exchange { persistence, ..exchange }
    }

    fn finish_after(&mut self, exchange: Exchange) {
        if exchange.persistence == Persistence::Close {
            self.finish();
        }
    }

    fn await_body(
        &mut self,
        head: &Head<'_, '_>,
        caller: Caller,
        head_bytes: usize,
        rest: &mut [u8],
        arrived: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let headers = Headers::decode(head);
        self.framing = Framing::Head(HeadScan::default());
        let coding = match head.body {
            BodyLength::None => return self.message(&headers, caller, rest, 0, turn).map(|()| head_bytes),
            BodyLength::Length(bytes) => {
                let bytes = usize::try_from(bytes).ok()?;
                if bytes <= arrived {
                    return self.message(&headers, caller, rest, bytes, turn).map(|()| head_bytes + bytes);
                }
                Coding::Length(bytes)
            }
            BodyLength::Chunked => {
                let mut decoder = Box::new(chunked(listener_of(turn.snapshot, self.listener)?));
                match decoder.decode(rest.get_mut(..arrived)?) {
                    Ok(ChunkedStep::Done { body_bytes, consumed }) => {
                        return self
                            .message(&headers, caller, rest, body_bytes, turn)
                            .map(|()| head_bytes + consumed);
                    }
                    Ok(ChunkedStep::NeedMore) => Coding::Chunked(decoder),
                    Err(error) => {
                        return self.refuse_body(Refusal::Chunked(error), head_bytes + arrived, turn);
                    }
                }
            }
        };
        if head.expectation == Expectation::Continue && arrived == 0 {
            turn.work.answers.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let generation = turn.snapshot.generation;
        self.framing = Framing::Body(Box::new(Upload { head_bytes, coding, caller, generation }));
        None
    }

    fn read_body(
        &mut self,
        mut upload: Box<Upload>,
        block: &mut [u8],
        filled: usize,
        turn: &mut Turn<'_>,
    ) -> Option<usize> {
        let arrived = filled.checked_sub(upload.head_bytes)?;
        let (head_bytes, rest) = block.split_at_mut_checked(upload.head_bytes)?;
        let (body_bytes, consumed) = match &mut upload.coding {
            Coding::Length(bytes) if *bytes <= arrived => (*bytes, *bytes),
            Coding::Length(_) => {
                self.framing = Framing::Body(upload);
                return None;
            }
            Coding::Chunked(decoder) => match decoder.decode(rest.get_mut(..arrived)?) {
                Ok(ChunkedStep::Done { body_bytes, consumed }) => (body_bytes, consumed),
                Ok(ChunkedStep::NeedMore) => {
                    self.framing = Framing::Body(upload);
                    return None;
                }
                Err(error) => return self.refuse_body(Refusal::Chunked(error), filled, turn),
            },
        };
        // The head was decoded once and its bytes have not changed, so it decodes again.
        let mut storage = field_storage();
        let limits = head_limits(&turn.snapshot.limits);
        let head = match head::decode(head_bytes, &mut storage, &limits) {
            Ok(head) => head,
            Err(error) => return self.refuse_head(error, filled, turn),
        };
        let Upload { head_bytes, mut caller, generation, .. } = *upload;
        let headers = Headers::decode(&head);
        if generation != turn.snapshot.generation {
            let listener = listener_of(turn.snapshot, self.listener)?;
            match self.know(credential(listener, &head), listener, turn) {
                Ok(principal) => caller.principal = principal,
                Err(why) => {
                    self.refuse_stranger(why, caller.exchange, listener, turn);
                    return Some(head_bytes + consumed);
                }
            }
        }
        self.framing = Framing::Head(HeadScan::default());
        self.message(&headers, caller, rest, body_bytes, turn).map(|()| head_bytes + consumed)
    }

    /// After a body whose sender a reload has made unknown.
    fn refuse_stranger(
        &mut self,
        why: Unknown,
        exchange: Exchange,
        listener: &Listener,
        turn: &mut Turn<'_>,
    ) {
        turn.count(Count::AuthenticateRefused);
        self.framing = Framing::Head(HeadScan::default());
        let row = respond::refuse(turn, listener, exchange, &why.into(), None);
        self.note(turn, listener, row, Known { detail: Some(why.reason()), ..Known::default() });
        self.answered(exchange, turn);
    }

    fn refuse_body(&mut self, refusal: Refusal<'_>, filled: usize, turn: &mut Turn<'_>) -> Option<usize> {
        let listener = listener_of(turn.snapshot, self.listener)?;
        turn.count(Count::FramingRefused);
        let row = respond::refuse(turn, listener, Exchange::BROKEN, &refusal, None);
        self.note(turn, listener, row, Known::default());
        self.finish();
        Some(filled)
    }
}
