//! `mcpring dev`: a server to try in one command. Loopback HTTPS with a local CA, one token for an hour, the demo
//! tools, and a line to paste. It needs no file.
//! Never: an address beyond loopback; a limit that a person or a test suite would meet.
//! Next: `settings`, then `told`; `process::serve` runs it like any other server.

mod settings;
mod told;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use super::app::Product;
use super::certs::{TlsMaterial, build_server_config, warm};
use super::dev_ca::DevCa;
use super::files::reason;
use super::headers::Hsts;
use super::keys::{MintedKey, mint_key};
use super::moment;
use super::options::DevOptions;
use super::problem::{Exit, Problem};
use super::process::{Hangup, Start, refuse, serve};
use super::publish::{Kept, Materials};
use super::watch::Prints;
use crate::pipeline::authenticate::Identities;
use settings::build_config;
use told::{Told, announce};

const TOKEN_LIFE_S: u64 = 3_600;
const PATH: &str = "/mcp";
/// How far the port of the TCP listener may be from that of HTTPS.
const PORTS_TRIED: u16 = 100;

/// Runs until a signal ends it.
pub fn run(options: DevOptions, product: Product) -> ExitCode {
    let began = Instant::now();
    let _gathering = warm::gather_entropy();
    match prepare(&options, &product, began) {
        Ok((start, told)) => serve(start, |ready| announce(ready, &told)),
        Err(problems) => refuse(&problems),
    }
}

fn prepare(options: &DevOptions, product: &Product, began: Instant) -> Result<(Start, Told), Vec<Problem>> {
    let one = |problem: Problem| vec![problem];
    let now_s = moment::unix_now_s();
    let addresses = addresses(options.port).map_err(one)?;
    let mut config = build_config(options, &addresses);
    if product.offers_something() {
        config.native.clear();
    }
    product.introduce(&mut config.server);
    let folder = std::path::absolute(&options.data_dir).unwrap_or_else(|_| options.data_dir.clone());
    let ca = DevCa::load_or_build(&folder, now_s).map_err(one)?;
    let identity = ca.issue(now_s)?;
    let mut kept = Kept::build(product.catalog.clone()).map_err(one)?;
    let profile = config.tls.first().expect("build_config makes one profile");
    let certificates = vec![identity];
    let config_of_tls = build_server_config(profile, &certificates, None, &mut kept.tickets).map_err(one)?;
    let tls = TlsMaterial { config: config_of_tls, judge: None, certificates };
    let until_s = u64::try_from(now_s).unwrap_or(0) + TOKEN_LIFE_S;
    let MintedKey { token, table, expires_at_s } = mint_key("dev", 1, until_s).map_err(one)?;
    let port = addresses.http.first().map_or(options.port, SocketAddr::port);
    let told = Told {
        format: options.format,
        url: format!("https://localhost:{port}{PATH}"),
        token,
        token_until_s: i64::try_from(expires_at_s).unwrap_or(i64::MAX),
        ca_file: ca.ca_file,
        ca_origin: ca.origin,
        tcp: addresses.tcp,
        program: std::env::args_os().next().map_or_else(|| PathBuf::from("mcpring"), PathBuf::from),
    };
    let materials = Materials { tls: vec![tls], identities: Arc::new(Identities::build(table, 0)) };
    let start = Start {
        began,
        config,
        materials,
        prints: Prints::default(),
        kept,
        hsts: Hsts::Omitted,
        hangup: Hangup::Drain,
        client: None,
    };
    Ok((start, told))
}

/// Where it listens.
struct Addresses {
    /// `127.0.0.1` and, where it exists, `::1` with the same port: `localhost` means either, and some clients try only
    /// one.
    http: Vec<SocketAddr>,
    /// For messages without HTTP.
    tcp: Option<SocketAddr>,
}

/// The port that was asked for, and the next one that is free.
fn addresses(port: u16) -> Result<Addresses, Problem> {
    let v4 = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let probe = |address: SocketAddr| TcpListener::bind(address).and_then(|probe| probe.local_addr());
    let chosen = probe(v4(port)).map_err(|error| {
        let problem = Problem::error("E0401", format!("cannot listen on {}: {}", v4(port), reason(&error)));
        let problem = match super::holder::find(port) {
            Some(holder) => problem.note(format!("held by {holder}")),
            None => problem,
        };
        problem.help("mcpring dev --port 0 takes any free port").exit(Exit::Unavailable)
    })?;
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, chosen.port()));
    let is_free = TcpListener::bind(v6).is_ok();
    let http = if is_free { vec![chosen, v6] } else { vec![chosen] };
    let next = chosen.port().saturating_add(1)..=chosen.port().saturating_add(PORTS_TRIED);
    let next = next.filter(|next| *next != chosen.port()).find_map(|port| probe(v4(port)).ok());
    Ok(Addresses { http, tcp: next })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::num::NonZeroUsize;

    use super::super::config::checked::{Config, Driver};
    use super::super::options::{Format, Shards};
    use super::settings::build_runtime;
    use super::*;

    fn options() -> DevOptions {
        DevOptions {
            port: 0,
            data_dir: PathBuf::new(),
            driver: Driver::Auto,
            shards: Shards::Auto,
            format: Format::Text,
        }
    }

    /// A configuration for tests of the control plane.
    pub(crate) fn config() -> Config {
        let addresses = Addresses { http: vec!["127.0.0.1:0".parse().unwrap()], tcp: None };
        let mut config = build_config(&options(), &addresses);
        config.runtime.cpus = vec![0];
        config
    }

    #[test]
    fn listens_on_loopback_only_with_one_port() {
        let found = addresses(0).unwrap();
        let port = found.http[0].port();
        assert!(found.http.iter().all(|address| address.ip().is_loopback() && address.port() == port));
        assert!(found.tcp.is_some_and(|tcp| tcp.ip().is_loopback() && tcp.port() != port));
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let problem = addresses(taken.local_addr().unwrap().port()).err().unwrap();
        assert_eq!((problem.code, problem.exit), ("E0401", Exit::Unavailable));
    }

    #[test]
    fn runs_as_many_shards_as_asked() {
        for shards in [1, 3, 64].map(|count| NonZeroUsize::new(count).unwrap()) {
            assert_eq!(build_runtime(Driver::Auto, Shards::Count(shards)).cpus.len(), shards.get());
        }
        assert!(!build_runtime(Driver::Auto, Shards::Auto).cpus.is_empty());
    }
}
