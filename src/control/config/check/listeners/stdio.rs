//! The listener of kind `stdio`: one client on descriptors of this process, served by `mcpring stdio` alone.
//! Next: `access`, which gives it its roles.

use super::super::super::checked::Stdio;
use super::super::super::problem::Code;
use super::super::super::raw::Kind;
use super::super::super::report::child;
use super::super::Check;
use super::{Listeners, Surroundings, Table};

/// What is read and written at once unless the file says otherwise. Bytes.
const BUFFER_BYTES: u64 = 64 << 10;

/// The listener before the roles are known.
pub(in super::super) struct StdioTable {
    /// Without its roles.
    pub(in super::super) stdio: Stdio,
    /// `listeners.NAME`.
    pub(in super::super) path: String,
    /// Names of roles, as written.
    pub(in super::super) roles: Vec<String>,
    is_enabled: bool,
}

impl Check<'_> {
    /// Takes the first listener of kind `stdio`; a process has one set of standard streams.
    pub(super) fn stdio(
        &mut self,
        table: &Table<'_>,
        around: &Surroundings<'_>,
        found: &mut Option<StdioTable>,
    ) {
        let Table { path, name, raw, .. } = *table;
        if let Some(first) = found {
            let message = format!("listener `{name}` is the second of kind \"stdio\"");
            let label = format!("[{}] serves the standard streams already", first.path);
            let problem = self.report.problem(Code::Contradiction, &child(path, "kind"), message);
            problem.label(label).help("remove one");
            return;
        }
        let fd = |own: Option<u32>, standard: u32| own.unwrap_or(standard);
        let (input, output, error) = (fd(raw.input_fd, 0), fd(raw.output_fd, 1), fd(raw.error_fd, 2));
        // One descriptor for both directions is fine where it is a socket or a terminal, which is seen at the start.
        if error == output || error == input {
            let direction = if error == output { "answers go to" } else { "requests come from" };
            let message = format!("the log of listener `{name}` would be written where {direction}");
            let key = if raw.error_fd.is_some() { "error_fd" } else { "output_fd" };
            let problem = self.report.problem(Code::Contradiction, &child(path, key), message);
            problem
                .label(format!("descriptor {error} has two uses"))
                .help("write error_fd = 2 and another output_fd");
        }
        let limits = self.listener_limits(table, Kind::Stdio, around);
        let buffer = raw.buffer_size.map_or(BUFFER_BYTES, |size| size.0);
        *found = Some(StdioTable {
            stdio: Stdio {
                name: name.to_owned(),
                input_fd: input,
                output_fd: output,
                error_fd: error,
                buffer_bytes: usize::try_from(buffer).expect("a range has checked it"),
                principal: raw.principal.clone().unwrap_or_else(|| "local".to_owned()),
                roles: Vec::new(),
                limits,
            },
            path: path.to_owned(),
            roles: raw.roles.clone().unwrap_or_default(),
            is_enabled: raw.enabled.unwrap_or(false),
        });
    }

    /// `enabled = true` says that nothing else is served.
    pub(super) fn stdio_alone(&mut self, all: &Listeners) {
        let Some(table) = all.stdio.as_ref().filter(|table| table.is_enabled) else { return };
        if let Some(other) = all.checked.first() {
            let message =
                format!("listener `{}` is enabled beside listener `{}`", table.stdio.name, other.name);
            let problem = self.report.problem(Code::Contradiction, &child(&table.path, "enabled"), message);
            problem.label(
                "`mcpring stdio` serves one client and opens no other socket, `mcpring run` leaves it alone",
            );
            problem.help("remove enabled = true; `mcpring stdio` needs no switch");
        }
    }
}
