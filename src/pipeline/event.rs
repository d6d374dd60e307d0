//! What comes out of the data plane: counts of every stage's outcomes, and records for the log.
//! A shard writes its own counters and its own bounded queue; the control plane reads them when it likes.
//! Never: formatting, a wake-up, a wait: a full queue drops the record and counts the loss.
//! Next: `control/log.rs`, the reader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use super::peer::Peer;

/// Records a shard may have waiting for the writer.
pub const RECORDS_MAX: usize = 4096;

/// Refusals of a shard that are written down each second.
pub const REFUSALS_PER_S_MAX: u64 = 1000;

/// Longest detail that a handler gives, bytes.
const DETAIL_BYTES_MAX: usize = 300;

/// The request path, in order. The same word is the file, the counter, the log field and the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Accepting and bounding connections.
    Listen,
    /// Handshake and records.
    Tls,
    /// HTTP.
    Framing,
    /// Who is calling.
    Authenticate,
    /// Token buckets.
    Admit,
    /// JSON-RPC and MCP metadata.
    Envelope,
    /// What the caller may do.
    Authorize,
    /// Running the method.
    Dispatch,
    /// Writing the answer.
    Respond,
}

impl Stage {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Tls => "tls",
            Self::Framing => "framing",
            Self::Authenticate => "authenticate",
            Self::Admit => "admit",
            Self::Envelope => "envelope",
            Self::Authorize => "authorize",
            Self::Dispatch => "dispatch",
            Self::Respond => "respond",
        }
    }
}

macro_rules! counts {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// What is counted, named `stage.outcome`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count { $(#[doc = $doc] $variant,)* }

        impl Count {
            /// Every counter, in path order.
            pub const ALL: &'static [Count] = &[$(Count::$variant,)*];

            /// `stage.outcome`.
            pub fn name(self) -> &'static str {
                match self { $(Count::$variant => $name,)* }
            }
        }
    };
}

counts! {
    ListenAccepted "listen.accepted" "Connections taken.",
    ListenRefusedTotal "listen.refused_total" "Connections over `max_connections`.",
    ListenRefusedAddress "listen.refused_address" "Connections over `max_connections_per_ip`.",
    ListenClosed "listen.closed" "Connections ended, for whatever reason.",
    ListenFailed "listen.failed" "accept(2) failed; accepting pauses for a moment.",
    TlsEstablished "tls.established" "Handshakes finished.",
    TlsFailed "tls.failed" "Handshakes or records that ended the connection.",
    TlsCertificateMissing "tls.certificate_missing" "Clients without a certificate where one is required.",
    TlsCertificateMalformed "tls.certificate_malformed" "Client certificates that can not be read.",
    TlsCertificateUntrusted "tls.certificate_untrusted" "Client certificates without a path to a trusted authority.",
    TlsCertificateNotYetValid "tls.certificate_not_yet_valid" "Client certificates of the future.",
    TlsCertificateExpired "tls.certificate_expired" "Client certificates past their time.",
    TlsCertificateOfAuthority "tls.certificate_of_authority" "Certificates of authorities shown by clients.",
    TlsCertificatePurpose "tls.certificate_purpose" "Client certificates made for something else.",
    TlsCertificateWeakKey "tls.certificate_weak_key" "Client certificates with too short a key.",
    TlsCertificateLongLived "tls.certificate_long_lived" "Client certificates over `max_client_certificate_age`.",
    TlsCertificateNameless "tls.certificate_nameless" "Client certificates that name nobody, or in doubt.",
    TlsCertificateNameNotAllowed "tls.certificate_name_not_allowed" "Client certificates outside of `allowed_names`.",
    TlsCertificateRevoked "tls.certificate_revoked" "Client certificates on a revocation list.",
    TlsCrlMissing "tls.crl_missing" "Client certificates that no revocation list covers.",
    TlsCrlExpired "tls.crl_expired" "Client certificates covered by a list past its time.",
    TlsOcspRevoked "tls.ocsp_revoked" "Client certificates revoked by their responder's word.",
    TlsOcspUnknown "tls.ocsp_unknown" "Client certificates that their responder does not know.",
    TlsOcspFailed "tls.ocsp_failed" "Client certificates whose responder gave no answer to believe.",
    TlsOcspAllowed "tls.ocsp_allowed" "Client certificates let in without an answer, by `on_failure`.",
    TlsTimedOut "tls.timed_out" "Handshakes past their deadline.",
    FramingDecoded "framing.decoded" "Requests read.",
    FramingUpgraded "framing.upgraded" "Connections that became a WebSocket.",
    FramingRefused "framing.refused" "Requests answered with a 4xx or 5xx by HTTP's or the endpoint's rules.",
    FramingTimedOut "framing.timed_out" "Heads or bodies past their deadline.",
    FramingIdle "framing.idle" "Connections closed for having no request.",
    AuthenticateAccepted "authenticate.accepted" "Credentials that named a principal.",
    AuthenticateAnonymous "authenticate.anonymous" "Requests without a credential where that is allowed.",
    AuthenticateRefused "authenticate.refused" "Requests answered 401.",
    AuthenticateHeldOff "authenticate.held_off" "Credentials not looked at because too many of their address did not hold.",
    AuthenticateBlocked "authenticate.blocked" "Addresses blocked for a time.",
    AdmitAccepted "admit.accepted" "Requests that had a token in every bucket.",
    AdmitRefused "admit.refused" "Requests answered 429.",
    EnvelopeDecoded "envelope.decoded" "Messages read.",
    EnvelopeRefused "envelope.refused" "Messages refused by JSON, JSON-RPC or MCP rules.",
    AuthorizeAllowed "authorize.allowed" "Calls a role allows.",
    AuthorizeDenied "authorize.denied" "Calls answered 403.",
    AuthorizeUnreadable "authorize.unreadable" "Requests for which the condition of a role could not be evaluated.",
    DispatchCompleted "dispatch.completed" "Methods that gave a result.",
    DispatchAsked "dispatch.asked" "Calls answered with questions to the client.",
    DispatchInvalid "dispatch.invalid" "Calls whose arguments their schema refuses.",
    DispatchStateRefused "dispatch.state_refused" "Retries whose state is not valid for them.",
    DispatchFailed "dispatch.failed" "Methods that gave an error or a tool result with `isError`.",
    DispatchPanicked "dispatch.panicked" "Tools that panicked.",
    DispatchCrowded "dispatch.crowded" "Requests over `max_inflight_per_connection`.",
    DispatchTimedOut "dispatch.timed_out" "Tools past `request_timeout`.",
    DispatchCancelled "dispatch.cancelled" "Tools whose caller went away.",
    RespondWritten "respond.written" "Answers queued for the socket.",
    RespondTimedOut "respond.timed_out" "Connections closed because the peer would not read.",
    RespondMissed "respond.missed" "Times a slow reader missed messages of its stream.",
    HubFull "hub.full" "Streams, tasks, subscriptions or sessions that found no room.",
    HubDropped "hub.dropped" "Messages between shards that found no room.",
    HubEventDropped "hub.event_dropped" "Notifications dropped from a full stream before they were read.",
    ShardPanicked "shard.panicked" "Connections ended by a panic of our own.",
    ShardLeaked "shard.leaked" "Buffers that had not come back when the shard had drained.",
    EventDropped "event.dropped" "Log records lost to a full queue.",
}

/// What one shard reports. Written by that shard alone, read by anyone.
pub struct Events {
    counts: Box<[AtomicU64]>,
    records: ArrayQueue<Record>,
    /// What the next record of that reason says beside it.
    explained: ArrayQueue<(&'static str, Box<str>)>,
    /// The second in which the newest refusal fell, and how many fell in it.
    refusal_second: AtomicU64,
    refusals: AtomicU64,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            counts: Count::ALL.iter().map(|_| AtomicU64::new(0)).collect(),
            records: ArrayQueue::new(RECORDS_MAX),
            explained: ArrayQueue::new(1),
            refusal_second: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        }
    }
}

impl Events {
    /// Adds one. Only the owning shard may call it: a load and a store, no locked instruction.
    pub fn count(&self, count: Count) {
        if let Some(cell) = self.counts.get(count as usize) {
            cell.store(cell.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// The present value.
    pub fn total(&self, count: Count) -> u64 {
        self.counts.get(count as usize).map_or(0, |cell| cell.load(Ordering::Relaxed))
    }

    /// Queues a record for the log, or counts its loss. Refusals beyond [`REFUSALS_PER_S_MAX`] are lost on purpose:
    /// a peer that is refused as fast as it can ask must not write the disk full or push other records out.
    pub fn record(&self, mut record: Record) {
        if record.outcome == Outcome::Refused
            && let Some((reason, words)) = self.explained.pop()
            && reason == record.reason
        {
            record.detail = Some(words);
        }
        let is_flood =
            record.outcome == Outcome::Refused && self.refusals_at(record.at_ms) > REFUSALS_PER_S_MAX;
        if is_flood || self.records.push(record).is_err() {
            self.count(Count::EventDropped);
        }
    }

    /// Gives the operator words that the peer is not told, for the record of the refusal that is answered now. Whoever
    /// decides has them, whoever records is told only the row of the answer.
    pub fn explain(&self, reason: &'static str, words: &str) {
        let end = words.floor_char_boundary(DETAIL_BYTES_MAX);
        let (words, rest) = words.split_at(end);
        let mut kept = String::from(words);
        if !rest.is_empty() {
            kept.push_str("...");
        }
        self.explained.force_push((reason, kept.into()));
    }

    /// Counts a refusal; how many there were in its second. Written by the owning shard alone.
    fn refusals_at(&self, at_ms: u64) -> u64 {
        let second = at_ms / 1000;
        let before = if self.refusal_second.swap(second, Ordering::Relaxed) == second {
            self.refusals.load(Ordering::Relaxed)
        } else {
            0
        };
        self.refusals.store(before + 1, Ordering::Relaxed);
        before + 1
    }

    /// Takes the oldest record.
    pub fn poll_record(&self) -> Option<Record> {
        self.records.pop()
    }
}

/// Whether every request is a record, or only those that were refused or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Every request.
    Every,
    /// Refusals and faults.
    Refused,
}

/// What happened, for one log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request was answered with a result.
    Answered,
    /// The request was answered "no"; the connection may live.
    Refused,
    /// The connection ended.
    Fault,
    /// Our own invariant broke.
    Bug,
}

/// One line of the log, before formatting. Holds no secret and nothing of a request's arguments, unless a handler puts them
/// into its own words.
#[derive(Clone, Debug)]
pub struct Record {
    /// Unix milliseconds.
    pub at_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Where on the path.
    pub stage: Stage,
    /// A stable word, such as `rate_limit_exceeded`.
    pub reason: &'static str,
    /// The other end.
    pub peer: Peer,
    /// The listener's name.
    pub listener: Arc<str>,
    /// Who was calling, once known.
    pub principal: Option<Arc<str>>,
    /// JSON-RPC method, once known; a fixed word for unknown ones.
    pub method: &'static str,
    /// Tool name, once known and registered.
    pub tool: Option<Arc<str>>,
    /// HTTP status, 0 when none was sent.
    pub status: u16,
    /// From a handler's start to its answer, microseconds in steps of the shard's coarse clock, some milliseconds each;
    /// 0 when it was shorter, or when no handler outlived its turn.
    pub elapsed_us: u64,
    /// More for the operator: a limit's name, an error's text. Bounded by its writer.
    pub detail: Option<Box<str>>,
}
