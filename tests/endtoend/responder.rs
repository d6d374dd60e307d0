//! A responder of OCSP that answers as it is told: the answers are made by `openssl ocsp`, so that somebody else's reading
//! of the standard meets ours; only those of long ago it does not make.
//! Next: `certificates`, who asks.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use mcpring::control::ocsp::der::encode;
use rcgen::{CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, KeyPair, SigningKey as _};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::pki::Pki;

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Good,
    Revoked,
    Unknown,
    /// An answer past its time.
    Expired,
    /// Signed by somebody whom the authority did not entrust.
    WrongSigner,
    /// Never, and keeps the connection.
    Slow,
    /// Hangs up.
    Dead,
    /// Something that is no OCSP.
    Nonsense,
}

pub(crate) struct Responder {
    pub(crate) url: String,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<AtomicUsize>,
}

impl Responder {
    /// Answers for the certificates of `pki`; its files are in `folder`.
    pub(crate) fn start(pki: &Pki, folder: &Path) -> Self {
        let folder = folder.join("responder");
        std::fs::create_dir(&folder).unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        write("ca.crt", &pki.root_pem());
        let delegate = |name: &str, purposes: Vec<ExtendedKeyUsagePurpose>| {
            let key = KeyPair::generate().unwrap();
            let pem = pki.certify(&key, |params: &mut CertificateParams| {
                params.extended_key_usages = purposes;
            });
            write(&format!("{name}.crt"), &pem);
            write(&format!("{name}.key"), &key.serialize_pem());
        };
        delegate("entrusted", vec![ExtendedKeyUsagePurpose::OcspSigning]);
        delegate("somebody", vec![ExtendedKeyUsagePurpose::ClientAuth]);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let (mood, asked) = (Arc::new(Mutex::new(Mood::Good)), Arc::new(AtomicUsize::new(0)));
        let (told, count) = (mood.clone(), asked.clone());
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                let mood = *told.lock().unwrap();
                kept.extend(answer(stream, mood, &folder));
            }
        });
        Self { url, mood, asked }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How often it has been asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// The extension of a certificate that says to ask here.
    pub(crate) fn extension(&self) -> CustomExtension {
        // RFC 5280 4.2.2.1: id-ad-ocsp, and a URI.
        let method = encode(0x06, &[&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01]]);
        let access = encode(0x30, &[&method, &encode(0x86, &[self.url.as_bytes()])]);
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], encode(0x30, &[&access]))
    }
}

/// Where a revocation list is fetched.
pub(crate) struct ListPlace {
    pub(crate) url: String,
    list: Arc<Mutex<Vec<u8>>>,
}

impl ListPlace {
    pub(crate) fn start(list: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/clients.crl", listener.local_addr().unwrap());
        let list = Arc::new(Mutex::new(list));
        let served = list.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let body = served.lock().unwrap().clone();
                let length = body.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                // A request fits into one read; whoever asked may have given up.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Self { url, list }
    }

    pub(crate) fn put(&self, list: Vec<u8>) {
        *self.list.lock().unwrap() = list;
    }
}

/// Answers one question; returns the connection when it is to be kept.
fn answer(mut stream: TcpStream, mood: Mood, folder: &Path) -> Option<TcpStream> {
    let body = match mood {
        Mood::Slow => return Some(stream),
        Mood::Dead => return None,
        Mood::Nonsense => b"no OCSP".to_vec(),
        Mood::Expired => expired(&question(&mut stream)?, folder),
        Mood::Good | Mood::Revoked | Mood::Unknown | Mood::WrongSigner => {
            openssl(&question(&mut stream)?, mood, folder)
        }
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/ocsp-response\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    // Whoever asked may have given up.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    None
}

/// The body of a request.
fn question(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..at]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let body = &read[at + 4..];
            if body.len() >= length.trim().parse().ok()? {
                return Some(body.to_vec());
            }
        }
        match stream.read(&mut buffer) {
            Ok(bytes) if bytes > 0 => read.extend_from_slice(&buffer[..bytes]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn openssl(question: &[u8], mood: Mood, folder: &Path) -> Vec<u8> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = |kind: &str| -> PathBuf { folder.join(format!("{number}.{kind}")) };
    let entry = match mood {
        Mood::Revoked => "R\t491231235959Z\t200101000000Z\t2A\tunknown\t/CN=somebody\n",
        Mood::Unknown => "V\t491231235959Z\t\t2B\tunknown\t/CN=somebody else\n",
        Mood::Good | Mood::Expired | Mood::WrongSigner | Mood::Slow | Mood::Dead | Mood::Nonsense => {
            "V\t491231235959Z\t\t2A\tunknown\t/CN=somebody\n"
        }
    };
    let signer = if mood == Mood::WrongSigner { "somebody" } else { "entrusted" };
    std::fs::write(file("request"), question).unwrap();
    std::fs::write(file("index"), entry).unwrap();
    let done = Command::new("openssl")
        .current_dir(folder)
        .arg("ocsp")
        .args(["-CA", "ca.crt", "-nmin", "5"])
        .args(["-rsigner", &format!("{signer}.crt"), "-rkey", &format!("{signer}.key")])
        .arg("-index")
        .arg(file("index"))
        .arg("-reqin")
        .arg(file("request"))
        .arg("-respout")
        .arg(file("response"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::fs::read(file("response")).unwrap_or_else(|error| panic!("{error}: {done:?}"))
}

/// "Good", a minute past its time, signed as it should be.
fn expired(question: &[u8], folder: &Path) -> Vec<u8> {
    const SHA1: &[u8] = &[0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00];
    const BASIC: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
    // ecdsa-with-SHA256.
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let at = question.windows(SHA1.len()).position(|window| window == SHA1).unwrap() - 2;
    let id = &question[at..at + 2 + usize::from(question[at + 1])];
    let time = |minutes: i64| {
        let at = time::OffsetDateTime::now_utc() - time::Duration::minutes(minutes);
        let (date, clock) = (at.date(), at.time());
        let text = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            date.year(),
            u8::from(date.month()),
            date.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        );
        encode(0x18, &[text.as_bytes()])
    };
    let single = encode(0x30, &[id, &[0x80, 0], &time(60), &encode(0xa0, &[&time(2)])]);
    let by_key = encode(0xa2, &[&encode(0x04, &[&[0; 20]])]);
    let data = encode(0x30, &[&by_key, &time(60), &encode(0x30, &[&single])]);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let key = KeyPair::from_pem(&read("entrusted.key")).unwrap();
    let certificate = CertificateDer::from_pem_slice(read("entrusted.crt").as_bytes()).unwrap();
    let basic = encode(
        0x30,
        &[
            &data,
            &encode(0x30, &[&encode(0x06, &[ECDSA])]),
            &encode(0x03, &[&[0], &key.sign(&data).unwrap()]),
            &encode(0xa0, &[&encode(0x30, &[&certificate])]),
        ],
    );
    let bytes = encode(0x30, &[&encode(0x06, &[BASIC]), &encode(0x04, &[&basic])]);
    encode(0x30, &[&[0x0a, 1, 0], &encode(0xa0, &[&bytes])])
}
