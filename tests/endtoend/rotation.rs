//! Files that are replaced under a running server, without a signal: certificates, keys of callers; and the warnings of a
//! certificate that will expire.
//! Next: `life`, where a signal does it.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use time::OffsetDateTime;

use crate::client::{Client, bearer, call_as, echo, secure, trust};
use crate::server::{CONFIG, Folder, KEY, SECOND_KEY, Server};
use crate::wire::Wire;

/// Requests of each kind before and after a rotation.
const ROUNDS: u32 = 20;

/// A client that takes any of these certificates.
fn trust_any(certificates: &[&Path]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for path in certificates {
        roots.add(CertificateDer::from_pem_file(path).unwrap()).unwrap();
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn connect(port: u16, config: ClientConfig) -> std::io::Result<Client> {
    secure(port, "localhost", config).map(|stream| Client::on(Wire::Tls(Box::new(stream))))
}

/// Asks over one connection that stays and over new ones, while `rotate` is at work. Every request has to be answered.
fn under_traffic(server: &Server, certificates: &[&Path], rotate: impl FnOnce()) {
    let (port, is_over) = (server.port("secure"), AtomicBool::new(false));
    let answered = [AtomicU32::new(0), AtomicU32::new(0)];
    let ask = |client: &mut Client, count: &AtomicU32| {
        let text = count.load(Ordering::Relaxed).to_string();
        assert_eq!(client.ask(&echo(&text)).text(), text);
        count.fetch_add(1, Ordering::Relaxed);
    };
    let has_more = |by: &[u32; 2]| {
        answered.iter().zip(by).all(|(count, before)| count.load(Ordering::Relaxed) > before + ROUNDS)
    };
    std::thread::scope(|scope| {
        let [staying, coming] = &answered;
        let staying = scope.spawn(|| {
            let mut client = connect(port, trust_any(certificates)).unwrap();
            while !is_over.load(Ordering::Relaxed) {
                ask(&mut client, staying);
            }
        });
        let coming = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                ask(&mut connect(port, trust_any(certificates)).unwrap(), coming);
            }
        });
        let is_at_work = || !staying.is_finished() && !coming.is_finished();
        while is_at_work() && !has_more(&[0, 0]) {
            std::thread::yield_now();
        }
        rotate();
        let before = answered.each_ref().map(|count| count.load(Ordering::Relaxed));
        while is_at_work() && !has_more(&before) {
            std::thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
        staying.join().unwrap();
        coming.join().unwrap();
    });
}

/// New handshakes get this certificate and no other.
fn assert_served(port: u16, certificate: &Path, not: &Path) {
    assert_eq!(connect(port, trust(certificate)).unwrap().ask(&echo("new")).text(), "new");
    assert!(connect(port, trust(not)).is_err());
}

#[test]
fn a_certificate_replaced_file_by_file_is_served_and_no_request_is_lost() {
    let server = Server::start();
    let folder = &server.folder;
    let at = |name: &str| folder.0.join(name);
    std::fs::copy(at("localhost.crt"), at("old.crt")).unwrap();
    folder.certificate("next", &["localhost"]);
    std::fs::copy(at("next.crt"), at("new.crt")).unwrap();
    under_traffic(&server, &[&at("old.crt"), &at("new.crt")], || {
        std::fs::rename(at("next.key"), at("localhost.key")).unwrap();
        std::fs::rename(at("next.crt"), at("localhost.crt")).unwrap();
        loop {
            let refreshed = server.wait_for("refreshed");
            let renewed = refreshed["certificates"].as_array().unwrap();
            if renewed.iter().any(|line| line.as_str().unwrap().starts_with("tls.main localhost until ")) {
                return;
            }
        }
    });
    assert_served(server.port("secure"), &at("new.crt"), &at("old.crt"));
}

#[test]
fn a_folder_swapped_under_its_links_is_served_and_no_request_is_lost() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.join(name);
    for version in ["..1", "..2"] {
        std::fs::create_dir(at(version)).unwrap();
        folder.certificate("localhost", &["localhost"]);
        for name in ["localhost.crt", "localhost.key"] {
            std::fs::rename(at(name), at(version).join(name)).unwrap();
        }
    }
    symlink("..1", at("..data")).unwrap();
    for name in ["localhost.crt", "localhost.key"] {
        symlink(Path::new("..data").join(name), at(name)).unwrap();
    }
    let server = Server::start_in(folder, &[]);
    let at = |name: &str| server.folder.0.join(name);
    let (old, new) = (at("..1/localhost.crt"), at("..2/localhost.crt"));
    under_traffic(&server, &[&old, &new], || {
        symlink("..2", at("..next")).unwrap();
        std::fs::rename(at("..next"), at("..data")).unwrap();
        server.wait_for("refreshed");
    });
    assert_served(server.port("secure"), &new, &old);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_and_a_good_one_then_comes_in() {
    let server = Server::start();
    let at = |name: &str| server.folder.0.join(name);
    std::fs::copy(at("localhost.crt"), at("old.crt")).unwrap();
    let mut client = connect(server.port("secure"), trust(&at("old.crt"))).unwrap();
    for (name, text, code) in [
        ("localhost.crt", "no certificate", "E0310"),
        ("localhost.crt", "", "E0310"),
        ("localhost.key", "no key", "E0317"),
        ("keys.toml", "[[keys]", "E0352"),
    ] {
        let before = std::fs::read(at(name)).unwrap();
        server.folder.write(name, text);
        let seen = server.until("refresh_refused");
        assert!(seen.iter().any(|line| line["code"] == code), "{code}: {seen:?}");
        let kept = &seen.last().unwrap()["kept"];
        assert_eq!(kept[0], if name == "keys.toml" { "auth.api_key" } else { "tls.main" });
        assert_eq!(client.ask(&echo("unharmed")).text(), "unharmed");
        assert!(connect(server.port("secure"), trust(&at("old.crt"))).is_ok());
        std::fs::write(at(name), before).unwrap();
        server.wait_for("refreshed");
    }
    server.folder.certificate("localhost", &["localhost"]);
    while server.wait_for("refreshed")["certificates"] == serde_json::json!([]) {}
    assert_served(server.port("secure"), &at("localhost.crt"), &at("old.crt"));
    assert_eq!(client.ask(&echo("still here")).text(), "still here");
}

#[test]
fn a_key_struck_from_its_file_stops_within_a_second_on_every_connection() {
    let server = Server::start();
    let as_second = call_as(&bearer(SECOND_KEY), "echo", r#"{"message":"second"}"#);
    let mut clients: Vec<_> = (0..8).map(|_| Client::plain(server.port("plain"))).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&as_second).status, 200);
    }
    server.folder.keys(&[("operator", KEY)]);
    let struck = Instant::now();
    for client in &mut clients {
        while client.ask(&as_second).status != 401 {
            assert!(struck.elapsed() < Duration::from_secs(1), "{:?}", struck.elapsed());
        }
    }
    assert_eq!(Client::plain(server.port("plain")).ask(&echo("operator")).text(), "operator");
}

#[test]
fn reload_on_change_false_waits_for_the_signal() {
    let folder = Folder::new();
    folder.write("mcpring.toml", &CONFIG.replace("[tls.main]", "[tls.main]\nreload_on_change = false"));
    let server = Server::start_in(folder, &[]);
    let at = |name: &str| server.folder.0.join(name);
    std::fs::copy(at("localhost.crt"), at("old.crt")).unwrap();
    server.folder.certificate("localhost", &["localhost"]);
    // What is watched is loaded again, and with it only that.
    server.folder.keys(&[("operator", KEY)]);
    assert_eq!(server.wait_for("refreshed")["certificates"], serde_json::json!([]));
    assert_served(server.port("secure"), &at("old.crt"), &at("localhost.crt"));
    server.signal(rustix::process::Signal::HUP);
    server.wait_for("reloaded");
    assert_served(server.port("secure"), &at("localhost.crt"), &at("old.crt"));
}

#[test]
fn warns_of_a_certificate_that_will_expire_and_of_one_that_lives_too_long() {
    let folder = Folder::new();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = OffsetDateTime::now_utc() + Duration::from_secs(6 * 86_400 + 60);
    let key = KeyPair::generate().unwrap();
    folder.write("localhost.crt", &params.self_signed(&key).unwrap().pem());
    // The file is there and private; only its content is another.
    folder.write("localhost.key", &key.serialize_pem());
    folder.write("mcpring.toml", &CONFIG.replace("[tls.main]", "[tls.main]\nmax_certificate_age = \"90d\""));
    let server = Server::start_in(folder, &[]);
    let long = server.wait_for("certificate_lives_long");
    assert_eq!((long["profile"].as_str(), long["name"].as_str()), (Some("tls.main"), Some("localhost")));
    let expires = server.wait_for("certificate_expires");
    assert_eq!(expires["message"], "it expires in 6 days", "{expires}");
    assert_eq!(expires["level"], "warn", "{expires}");
}
