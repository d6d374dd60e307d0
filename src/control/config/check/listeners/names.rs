//! Which host names and origins an HTTP request may carry.
//! Next: `speech`.

use super::super::super::form;
use super::super::super::problem::Code;
use super::super::super::report::{child, entry};
use super::super::Check;
use super::{Surroundings, Table};
use crate::shard::address::Address;

impl Check<'_> {
    /// The Host allow-list.
    pub(super) fn hostnames(&mut self, table: &Table<'_>, around: &Surroundings<'_>) -> Vec<String> {
        let Table { path, name, raw, address } = *table;
        let setting = child(path, "hostnames");
        if let Some(written) = &raw.hostnames {
            return self.each_form(&setting, written, form::hostname);
        }
        let is_local = address.is_some_and(Address::is_local);
        let own = if is_local { form::loopback_names().to_vec() } else { Vec::new() };
        let public = around.public_url.map(|url| url.host.clone());
        let names: Vec<String> = own.into_iter().chain(public).collect();
        let is_doubtful = self.report.is_doubtful(&setting) || self.report.is_doubtful("server.public_url");
        if let (Some(address), true, false) = (address, names.is_empty(), is_doubtful) {
            let message = format!("listener `{name}` on {address} does not know its host name");
            let problem = self.report.problem(Code::NoHostnames, &setting, message);
            problem.label("requests with a foreign Host must be refused (DNS rebinding)");
            problem.help("add hostnames = [\"mcp.example.com\"], or public_url = \"https://mcp.example.com\" in [server]");
        }
        let mut unique: Vec<String> = Vec::new();
        for name in names {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        unique
    }

    /// The Origin allow-list.
    pub(super) fn origins(&mut self, table: &Table<'_>, around: &Surroundings<'_>) -> Vec<String> {
        match &table.raw.origins {
            Some(written) => self.each_form(&child(table.path, "origins"), written, form::origin),
            None => around.public_url.map(|url| url.origin.clone()).into_iter().collect(),
        }
    }

    /// A list of texts in one form.
    pub(super) fn each_form(
        &mut self,
        path: &str,
        texts: &[String],
        form: fn(&str) -> Result<String, form::Malformed>,
    ) -> Vec<String> {
        let entries = texts.iter().enumerate();
        entries.filter_map(|(index, text)| self.form(&entry(path, index), text, form)).collect()
    }
}
