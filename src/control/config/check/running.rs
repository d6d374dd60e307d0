//! Checks how the process runs: `[runtime]`, `[limits]`, `[log]`.
//! Next: `environment`.

use super::super::checked::{self, Log, Pin, Runtime};
use super::super::problem::Code;
use super::super::raw::{self, Shards};
use super::super::{environment, form};
use super::Check;
use crate::pipeline::event::AccessLog;
use crate::pipeline::failing::FailureRules;
use crate::pipeline::snapshot::{Limits, SlowReader};

/// What the pipeline is bounded by, of settings in their ranges.
pub(in super::super) fn limits_of(raw: &raw::Limits, mcp: &raw::Mcp, failures: FailureRules) -> Limits {
    let count = |count: u64| usize::try_from(count).expect("a range has checked it");
    Limits {
        connections_max: count(raw.max_connections),
        connections_per_ip_max: count(raw.max_connections_per_ip.min(raw.max_connections)),
        message_bytes_max: count(raw.max_message_size.0),
        head_bytes_max: count(raw.max_header_size.0),
        json_depth_max: count(raw.max_json_depth),
        json_nodes_max: count(raw.max_json_nodes),
        tls_handshake_timeout: raw.tls_handshake_timeout.0,
        header_timeout: raw.header_timeout.0,
        body_timeout: raw.body_timeout.0,
        send_timeout: raw.send_timeout.0,
        idle_timeout: raw.idle_timeout.0,
        request_timeout: raw.request_timeout.0,
        input_timeout: mcp.input_timeout.0,
        event_buffer_size: count(mcp.event_buffer_size),
        streams_max: count(mcp.max_streams),
        listens_per_principal_max: count(mcp.max_subscriptions),
        slow_reader: match mcp.slow_reader {
            checked::SlowReader::Close => SlowReader::Close,
            checked::SlowReader::Drop => SlowReader::Drop,
        },
        resume_window: mcp.resume_window.0,
        retry_interval: mcp.retry_interval.0,
        keepalive_interval: mcp.keepalive_interval.0,
        session_ttl: mcp.session_ttl.0,
        tasks_max: count(mcp.max_tasks),
        task_ttl: mcp.task_ttl.0,
        page_size: count(mcp.page_size),
        failures,
        // `[auth.jwt.*]` says how many.
        tokens_max: 0,
    }
}

/// What an address may fail.
pub(in super::super) fn failures_of(auth: &raw::Auth) -> FailureRules {
    FailureRules { failures_max: auth.max_failures, window: auth.failure_window.0, block: auth.block_for.0 }
}

impl Check<'_> {
    /// `[runtime]`. CPUs are settled here so that nothing later has to ask the machine.
    pub(super) fn runtime(&mut self, raw: &raw::Runtime) -> Runtime {
        let named = self.form("runtime.cpus", &raw.cpus, form::cpus).flatten();
        let available = named.unwrap_or_else(environment::usable_cpus);
        let count = match raw.shards {
            Shards::Auto => available.len(),
            Shards::Count(count) => usize::try_from(count).expect("a shard count fits"),
        };
        if count > available.len() && !self.report.is_doubtful("runtime") {
            let message = format!("{count} shards share {} CPUs", available.len());
            let problem = self.report.problem(Code::CpusShared, "runtime.shards", message);
            problem.help("write shards = \"auto\"; a shard is fastest with a CPU of its own");
        }
        Runtime {
            cpus: available.iter().copied().cycle().take(count).collect(),
            pin: if raw.pin { Pin::Pinned } else { Pin::Floating },
            driver: raw.driver,
            blocking_threads: usize::try_from(raw.blocking_threads).expect("a range has checked it"),
            ring_entries: raw.ring_entries,
            shutdown_grace: raw.shutdown_grace.0,
        }
    }

    /// `[limits]` and `[mcp]`; `max_inflight_per_connection` is each listener's.
    pub(super) fn limits(&mut self, raw: &raw::Limits, mcp: &raw::Mcp, failures: FailureRules) -> Limits {
        let per_ip = "limits.max_connections_per_ip";
        let is_both_written =
            self.report.is_written(per_ip) && self.report.is_written("limits.max_connections");
        if is_both_written && raw.max_connections_per_ip > raw.max_connections {
            let message = format!(
                "one address may have {} connections, all together only {}",
                raw.max_connections_per_ip, raw.max_connections
            );
            let problem = self.report.problem(Code::Contradiction, per_ip, message);
            problem.help(format!("write max_connections_per_ip = {} or less", raw.max_connections));
        }
        limits_of(raw, mcp, failures)
    }

    /// `[log]`.
    pub(super) fn log(&mut self, raw: raw::Log) -> Log {
        self.form("log.level", &raw.level, form::log_filter);
        let access_log = if raw.access_log { AccessLog::Every } else { AccessLog::Refused };
        Log { format: raw.format, level: raw.level, access_log }
    }
}
