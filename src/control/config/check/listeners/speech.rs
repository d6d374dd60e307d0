//! What is spoken on a listener, and what its connections may cost.
//! Next: `stdio`, the one without connections.

use bytes::Bytes;

use super::super::super::checked::Framing;
use super::super::super::form;
use super::super::super::problem::Code;
use super::super::super::raw::{Kind, Transport};
use super::super::super::report::{child, entry};
use super::super::Check;
use super::{Surroundings, Table};
use crate::pipeline::snapshot::{ListenerLimits, Speech, Sse, Transports, WebSocket};
use crate::shard::address::Address;

/// Where the SSE transport answers.
const SSE_PATHS: [&str; 3] = ["/events", "/sse", "/message"];

impl Check<'_> {
    /// What is spoken there. Nothing when a redirect leads nowhere.
    pub(super) fn speech(
        &mut self,
        table: &Table<'_>,
        kind: Kind,
        around: &Surroundings<'_>,
        limits: &ListenerLimits,
    ) -> Option<Speech> {
        match kind {
            Kind::Http => Some(Speech::Http(self.transports(table, limits))),
            Kind::Tcp => Some(match table.raw.framing.unwrap_or(Framing::Newline) {
                Framing::Newline => Speech::Lines,
                Framing::Length32 => Speech::Prefixed,
            }),
            Kind::Stdio => Some(Speech::Lines),
            Kind::Redirect => self.redirect(table, around).map(|location| Speech::Redirect { location }),
        }
    }

    /// `transports` and their tables.
    fn transports(&mut self, table: &Table<'_>, limits: &ListenerLimits) -> Transports {
        let (path, raw) = (table.path, table.raw);
        let setting = child(path, "transports");
        for (index, transport) in raw.transports.iter().enumerate() {
            if raw.transports.iter().take(index).any(|before| before == transport) {
                let message = format!("`{setting}` names a transport twice");
                let problem = self.report.problem(Code::Contradiction, &entry(&setting, index), message);
                problem.help("remove one");
            }
        }
        let has = |transport| raw.transports.contains(&transport);
        for (transport, key) in [(Transport::WebSocket, "websocket"), (Transport::Sse, "sse")] {
            let inner = child(path, key);
            if !has(transport) && self.report.is_written(&inner) && !self.report.is_doubtful(&setting) {
                let message =
                    format!("[{inner}] is for a transport that listener `{}` does not offer", table.name);
                let problem = self.report.problem(Code::Contradiction, &inner, message);
                problem.help(format!("add \"{key}\" to transports, or remove the table"));
            }
        }
        if has(Transport::Sse) && SSE_PATHS.contains(&raw.path.as_str()) {
            let setting = child(path, "path");
            let message = format!("{} is a path of the `sse` transport", raw.path);
            self.report.problem(Code::Contradiction, &setting, message).help("write path = \"/mcp\"");
        }
        let websocket = self.websocket(table, limits);
        let sse = self.sse(table, limits);
        Transports {
            streamable_http: has(Transport::StreamableHttp),
            websocket: has(Transport::WebSocket).then_some(websocket),
            sse: has(Transport::Sse).then_some(sse),
        }
    }

    /// `[listeners.NAME.websocket]`.
    fn websocket(&mut self, table: &Table<'_>, limits: &ListenerLimits) -> WebSocket {
        let (path, raw) = (child(table.path, "websocket"), &table.raw.websocket);
        let setting = child(&path, "max_frame_size");
        let frame = count(raw.max_frame_size.0);
        self.at_most(&setting, frame, limits.message_bytes_max, "the listener's messages have at most");
        let pong = child(&path, "pong_timeout");
        let is_written = self.report.is_written(&pong);
        let (interval, timeout) = (raw.ping_interval.0, raw.pong_timeout.0);
        if is_written && timeout >= interval && !self.report.is_doubtful(&child(&path, "ping_interval")) {
            let message = format!("`{pong}` is not shorter than ping_interval");
            let problem = self.report.problem(Code::Contradiction, &pong, message);
            problem.label("the next ping would be due before this one has failed");
            problem.help("write it shorter, or ping less often");
        }
        // The default follows a shorter interval.
        let pong_timeout = if is_written { timeout } else { timeout.min(interval / 2) };
        WebSocket {
            subprotocols: self.each_form(&child(&path, "subprotocols"), &raw.subprotocols, form::subprotocol),
            frame_bytes_max: frame.min(limits.message_bytes_max),
            ping_interval: interval,
            pong_timeout,
        }
    }

    /// `[listeners.NAME.sse]`.
    fn sse(&mut self, table: &Table<'_>, limits: &ListenerLimits) -> Sse {
        let (path, raw) = (child(table.path, "sse"), &table.raw.sse);
        let connections = count(raw.max_connections);
        self.at_most(
            &child(&path, "max_connections"),
            connections,
            limits.connections_max,
            "the listener's connections are at most",
        );
        Sse {
            heartbeat_interval: raw.heartbeat_interval.0,
            retry: raw.retry.0,
            connections_max: connections.min(limits.connections_max),
            event_buffer_size: count(raw.event_buffer_size),
        }
    }

    /// Where a redirect leads.
    fn redirect(&mut self, table: &Table<'_>, around: &Surroundings<'_>) -> Option<Bytes> {
        let Some(url) = around.public_url else {
            if !self.report.is_doubtful("server.public_url") {
                let message = format!("listener `{}` redirects, but there is no URL to lead to", table.name);
                let problem = self.report.problem(Code::NoTarget, &child(table.path, "kind"), message);
                problem.help("add public_url = \"https://mcp.example.com\" in [server]");
            }
            return None;
        };
        if !url.origin.starts_with("https://") {
            let message =
                format!("listener `{}` redirects to {}, which is plaintext too", table.name, url.origin);
            let problem = self.report.problem(Code::NoTarget, "server.public_url", message);
            problem.help(format!("write public_url = \"https://{}\"", url.host));
            return None;
        }
        if table.address.and_then(Address::tcp).is_some_and(|address| address.port() == url.port) {
            let setting = child(table.path, "address");
            let message = format!("listener `{}` redirects to its own port", table.name);
            let problem = self.report.problem(Code::Contradiction, &setting, message);
            problem.label(format!("{} is port {} as well", url.origin, url.port));
            problem.help("write address = \"[::]:80\", or another port that clients try without TLS");
        }
        Some(Bytes::from(format!("{}{}", url.origin, url.path)))
    }

    /// What one connection may cost: the listener's own settings, else those of `[limits]`, which bound both.
    pub(super) fn listener_limits(
        &mut self,
        table: &Table<'_>,
        kind: Kind,
        around: &Surroundings<'_>,
    ) -> ListenerLimits {
        let (path, raw, all) = (table.path, table.raw, around.limits);
        let mut bounded = |key: &str, own: Option<u64>, all: u64| {
            let own_or_all = count(own.unwrap_or(all));
            let limit = if key == "max_frame_size" { "max_message_size" } else { key };
            self.at_most(&child(path, key), own_or_all, count(all), &format!("limits.{limit} is"));
            own_or_all.min(count(all))
        };
        let connections = bounded("max_connections", raw.max_connections, all.max_connections);
        let per_ip =
            bounded("max_connections_per_ip", raw.max_connections_per_ip, all.max_connections_per_ip);
        let (key, size) = match kind {
            Kind::Tcp => ("max_frame_size", raw.max_frame_size),
            Kind::Http | Kind::Stdio | Kind::Redirect => ("max_message_size", raw.max_message_size),
        };
        ListenerLimits {
            connections_max: connections,
            connections_per_ip_max: per_ip.min(connections),
            message_bytes_max: bounded(key, size.map(|size| size.0), all.max_message_size.0),
            inflight_max: count(raw.max_inflight_per_connection.unwrap_or(all.max_inflight_per_connection)),
            send_timeout: raw.send_timeout.unwrap_or(all.send_timeout).0,
        }
    }

    /// Reports a written value that a wider limit makes meaningless.
    fn at_most(&mut self, setting: &str, value: usize, limit: usize, bound: &str) {
        if value > limit && self.report.is_written(setting) && !self.report.is_doubtful("limits") {
            let message = format!("`{setting}` is {value}, but {bound} {limit}");
            let problem = self.report.problem(Code::Contradiction, setting, message);
            problem.label("it could never be reached").help("write it smaller, or raise the other");
        }
    }
}

/// A number whose range was checked.
fn count(count: u64) -> usize {
    usize::try_from(count).expect("a range has checked it")
}
