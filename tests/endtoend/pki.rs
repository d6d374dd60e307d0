//! An authority for clients, made on the spot, with everything that may be wrong about a certificate.
//! Never: a file; whoever needs one writes it.
//! Next: `certificates`, the server's side.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, CustomExtension,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

/// Serial number of the certificate that the list has.
const REVOKED: u64 = 4711;

/// RSA of 1024 bits, a SubjectPublicKeyInfo's key: rcgen makes none that short. Nobody has its private half.
const SHORT_KEY: [u8; 140] = {
    let mut key = [0x5b; 140];
    // SEQUENCE of a modulus of 129 bytes, the first one zero, and 65537.
    let head = [0x30, 0x81, 0x89, 0x02, 0x81, 0x81, 0x00, 0xc5];
    let mut at = 0;
    while at < head.len() {
        key[at] = head[at];
        at += 1;
    }
    (key[135], key[136], key[137], key[138], key[139]) = (0x02, 0x03, 0x01, 0x00, 0x01);
    key
};

struct ShortKey;

impl PublicKeyData for ShortKey {
    fn der_bytes(&self) -> &[u8] {
        &SHORT_KEY
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

/// A certificate with what is needed to show it.
pub(crate) struct Shown {
    /// What it is.
    pub(crate) name: &'static str,
    /// The word in the log when it is refused; none when it is accepted.
    pub(crate) refused: Option<&'static str>,
    /// The certificate first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// PKCS#8. Not always the certificate's: a server refuses before that matters.
    pub(crate) key: Vec<u8>,
}

/// A name that is let in.
pub(crate) const AGENT: &str = "spiffe://example.com/agent/7";

type Change = fn(&mut CertificateParams, OffsetDateTime);

/// Of the root's: what it is, why it is refused, its URI, what is different about it.
const BY_ROOT: &[(&str, Option<&str>, &str, Change)] = &[
    ("valid", None, AGENT, |_, _| {}),
    ("valid by its host name", None, AGENT, |params, _| {
        params.subject_alt_names = vec![SanType::DnsName("a.agents.example.com".try_into().expect("ASCII"))];
    }),
    ("valid by its common name", None, AGENT, |params, _| {
        params.subject_alt_names.clear();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "robot");
    }),
    ("expired", Some("certificate_expired"), AGENT, |params, now| {
        params.not_after = now - Duration::minutes(1);
    }),
    ("not yet valid", Some("certificate_not_yet_valid"), AGENT, |params, now| {
        params.not_before = now + Duration::minutes(30);
    }),
    ("revoked by a list", Some("certificate_revoked"), AGENT, |params, _| {
        params.serial_number = Some(SerialNumber::from(REVOKED));
    }),
    ("for servers", Some("certificate_purpose"), AGENT, |params, _| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    }),
    ("for nothing in particular", Some("certificate_purpose"), AGENT, |params, _| {
        params.extended_key_usages.clear();
    }),
    ("for encipherment only", Some("certificate_purpose"), AGENT, |params, _| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    }),
    ("of an authority", Some("certificate_of_authority"), AGENT, |params, _| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }),
    ("long lived", Some("certificate_long_lived"), AGENT, |params, now| {
        params.not_after = now + Duration::days(200);
    }),
    (
        "of a name that is not allowed",
        Some("certificate_name_not_allowed"),
        "spiffe://example.com/admin",
        |_, _| {},
    ),
    (
        "of a name one segment deeper",
        Some("certificate_name_not_allowed"),
        "spiffe://example.com/agent/7/x",
        |_, _| {},
    ),
    ("of a name that goes up", Some("certificate_nameless"), "spiffe://example.com/agent/..", |_, _| {}),
    ("of two names", Some("certificate_nameless"), AGENT, |params, _| {
        params
            .subject_alt_names
            .push(SanType::URI("spiffe://example.com/agent/8".try_into().expect("ASCII")));
    }),
    ("of no name", Some("certificate_nameless"), AGENT, |params, _| {
        params.subject_alt_names.clear();
        params.distinguished_name = rcgen::DistinguishedName::new();
    }),
    ("with something critical that nobody knows", Some("certificate_malformed"), AGENT, |params, _| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    }),
];

/// The authorities.
pub(crate) struct Pki {
    now: OffsetDateTime,
    root: Issuer<'static, KeyPair>,
    root_certificate: Certificate,
    between: Issuer<'static, KeyPair>,
    between_certificate: Certificate,
}

fn der(made: Result<Certificate, rcgen::Error>) -> CertificateDer<'static> {
    made.expect("our own parameters").der().clone()
}

fn authority(name: &str, now: OffsetDateTime) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (now - Duration::days(30), now + Duration::days(300));
    (params, KeyPair::generate().expect("a key"))
}

impl Pki {
    /// Authorities that are good now.
    pub(crate) fn new(now_s: u64) -> Self {
        let now =
            OffsetDateTime::from_unix_timestamp(i64::try_from(now_s).expect("our days")).expect("our days");
        let (params, key) = authority("clients", now);
        let root_certificate = params.self_signed(&key).expect("our own parameters");
        let root = Issuer::new(params, key);
        let (params, key) = authority("clients of a branch", now);
        let between_certificate = params.signed_by(&key, &root).expect("our own parameters");
        Self { now, root, root_certificate, between: Issuer::new(params, key), between_certificate }
    }

    /// The authority's certificate, PEM.
    pub(crate) fn root_pem(&self) -> String {
        self.root_certificate.pem()
    }

    /// The lists of both authorities: DER of the root's, and PEM of the other's. The root's has these serials.
    pub(crate) fn lists(&self, revoked: &[u64]) -> (Vec<u8>, String) {
        self.lists_until(revoked, self.now + Duration::days(1))
    }

    /// The same past their time.
    pub(crate) fn stale_lists(&self) -> (Vec<u8>, String) {
        self.lists_until(&[], self.now - Duration::hours(1))
    }

    fn lists_until(&self, revoked: &[u64], next_update: OffsetDateTime) -> (Vec<u8>, String) {
        let list = |serials: &[u64], issuer: &Issuer<'static, KeyPair>| {
            let revoked = |serial: &u64| RevokedCertParams {
                serial_number: SerialNumber::from(*serial),
                revocation_time: self.now - Duration::hours(2),
                reason_code: None,
                invalidity_date: None,
            };
            let params = CertificateRevocationListParams {
                this_update: self.now - Duration::hours(3),
                next_update,
                crl_number: SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: serials.iter().map(revoked).collect(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(issuer).expect("our own parameters")
        };
        let (root, between) = (list(revoked, &self.root), list(&[], &self.between));
        (root.der().to_vec(), between.pem().expect("PEM of what is ours"))
    }

    /// A certificate that is good for two hours, unless `change` says otherwise.
    pub(crate) fn client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        self.signed("good", None, name, change, |params, key| {
            vec![params.signed_by(key, &self.root).expect("our own parameters").der().clone()]
        })
    }

    /// A certificate of the root's for that key, PEM.
    pub(crate) fn certify(&self, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
        let (mut params, _) = authority("entrusted", self.now);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        change(&mut params);
        params.signed_by(key, &self.root).expect("our own parameters").pem()
    }

    fn signed(
        &self,
        name: &'static str,
        refused: Option<&'static str>,
        uri: &str,
        change: impl FnOnce(&mut CertificateParams),
        sign: impl FnOnce(CertificateParams, &KeyPair) -> Vec<CertificateDer<'static>>,
    ) -> Shown {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "somebody");
        params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (self.now - Duration::hours(1), self.now + Duration::hours(1));
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let chain = sign(params, &key);
        Shown { name, refused, chain, key: key.serialize_der() }
    }

    /// A certificate of every kind, for a server that lets in `spiffe://example.com/agent/*`, `*.agents.example.com` and
    /// `robot`, for 72 hours at most, and has the lists of both authorities.
    pub(crate) fn every_kind(&self) -> Vec<Shown> {
        let mut all: Vec<Shown> = BY_ROOT
            .iter()
            .map(|(name, refused, uri, change)| {
                let change = |params: &mut CertificateParams| change(params, self.now);
                self.signed(name, *refused, uri, change, |params, key| {
                    vec![params.signed_by(key, &self.root).expect("our own parameters").der().clone()]
                })
            })
            .collect();
        all.extend(self.of_strangers());
        all.extend(self.of_other_signers());
        all
    }

    /// Of authorities that nobody knows, whatever they call themselves.
    fn of_strangers(&self) -> Vec<Shown> {
        [("of strangers", "strangers"), ("of an authority of the same name", "clients")]
            .into_iter()
            .map(|(what, name)| {
                let (params, key) = authority(name, self.now);
                let certificate = params.self_signed(&key).expect("our own parameters").der().clone();
                let issuer = Issuer::new(params, key);
                self.of_an_agent(what, Some("certificate_untrusted"), |params, key| {
                    vec![der(params.signed_by(key, &issuer)), certificate]
                })
            })
            .collect()
    }

    fn of_other_signers(&self) -> Vec<Shown> {
        let untrusted = Some("certificate_untrusted");
        let leaf = self.client(AGENT, |_| {});
        let leaf_key = KeyPair::try_from(leaf.key.as_slice()).expect("our own key");
        let leaf_issuer = Issuer::from_ca_cert_der(&leaf.chain[0], leaf_key).expect("our own certificate");
        vec![
            self.of_an_agent("valid through another authority", None, |params, key| {
                vec![der(params.signed_by(key, &self.between)), self.between_certificate.der().clone()]
            }),
            self.of_an_agent("without what is between", untrusted, |params, key| {
                vec![der(params.signed_by(key, &self.between))]
            }),
            self.of_an_agent("signed by itself", untrusted, |params, key| vec![der(params.self_signed(key))]),
            self.of_an_agent("signed by a client", untrusted, |params, key| {
                let mut chain = vec![der(params.signed_by(key, &leaf_issuer))];
                chain.extend(leaf.chain);
                chain
            }),
            self.of_an_agent("of a short key", Some("certificate_weak_key"), |params, _| {
                vec![der(params.signed_by(&ShortKey, &self.root))]
            }),
        ]
    }

    fn of_an_agent(
        &self,
        name: &'static str,
        refused: Option<&'static str>,
        sign: impl FnOnce(CertificateParams, &KeyPair) -> Vec<CertificateDer<'static>>,
    ) -> Shown {
        self.signed(name, refused, AGENT, |_| {}, sign)
    }

    /// The serial that `every_kind` takes to be revoked.
    pub(crate) fn revoked_serial(&self) -> u64 {
        REVOKED
    }
}
