//! What the certificates of a TLS profile's clients are judged by: path, dates, purpose, key, age, names, revocation
//! lists. Every check is made, and of several reasons the first in the order of [`Reason`] is told.
//! Never: a clock (rustls or the turn brings the time), a file, a responder.
//! Next: `inquiry`, what a responder is asked.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};
use webpki::{
    CertRevocationList, EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    KeyUsage, RequiredEkuNotFoundContext, RevocationCheckDepth, RevocationOptions, RevocationOptionsBuilder,
    UnknownStatusPolicy, VerifiedPath,
};
use x509_parser::public_key::PublicKey;

use super::inquiry::{Issuer, Ocsp};
use super::lists::{List, Lists};
use super::names::{NameKind, NamePattern};
use super::{ClientCertificate, Facts, Reason, Rejected};

/// RFC 5280 4.2.1.12: id-kp-clientAuth.
pub const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";

/// RFC 5280 4.2.1.12: whoever says this says everything. Of an authority it is enough.
const ANY_EXTENDED_KEY_USAGE: &str = "2.5.29.37.0";

/// Certificates between a client's and an authority that is trusted.
const INTERMEDIATES_MAX: usize = 8;

/// Whether a client has to have a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It may.
    Optional,
    /// It must.
    Required,
}

/// What revocation lists decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRules {
    /// The certificate alone, or all of its path.
    pub depth: RevocationCheckDepth,
    /// When no list covers it.
    pub unknown: UnknownStatusPolicy,
    /// When the list is past its time.
    pub expired: ExpirationPolicy,
}

/// What certificates are judged by.
#[derive(Clone)]
pub struct Rules {
    /// The TLS profile whose rules these are.
    pub profile: Arc<str>,
    /// Whether one is needed.
    pub presence: Presence,
    /// Where the client's name stands, the first that is there counts.
    pub identity_from: Vec<NameKind>,
    /// Whom to let in; empty is everybody whom the authorities name.
    pub allowed_names: Vec<NamePattern>,
    /// Extended key usages, dotted; a certificate must have all.
    pub purposes: Vec<String>,
    /// From its first day to its last, seconds.
    pub lifetime_s_max: i64,
    /// Shortest RSA key, bits.
    pub rsa_bits_min: usize,
    /// What revocation lists decide; none when there are no lists to be looked at.
    pub lists: Option<ListRules>,
}

/// Judges certificates. Immutable; a reload makes a new one.
pub struct Judge {
    /// The rules.
    pub rules: Rules,
    /// Whom is asked about a certificate beside the lists.
    pub ocsp: Option<Arc<dyn Ocsp>>,
    /// Equal for judges that decide alike.
    pub version: [u8; 32],
    anchors: Vec<TrustAnchor<'static>>,
    hints: Vec<DistinguishedName>,
    lists: Lists,
    algorithms: WebPkiSupportedAlgorithms,
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judge").field("authorities", &self.hints.len()).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge who trusts `roots`. `version` has to be another one for other roots, lists or rules.
    pub fn build(
        roots: rustls::RootCertStore,
        lists: Vec<Arc<List>>,
        rules: Rules,
        ocsp: Option<Arc<dyn Ocsp>>,
        version: [u8; 32],
    ) -> Self {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        let lists = Lists::choose(lists, &roots.roots, &algorithms);
        Self { rules, ocsp, version, hints: roots.subjects(), anchors: roots.roots, lists, algorithms }
    }

    /// The same with the authorities gone: nobody whose certificate it has to judge may stay.
    pub fn of_nobody(&self) -> Self {
        let rules = self.rules.clone();
        Self::build(rustls::RootCertStore::empty(), Vec::new(), rules, None, [0; 32])
    }

    /// Which of the authorities signed a list; none when it is somebody else's.
    pub fn signer(&self, list: &List) -> Option<&[u8]> {
        list.signer(&self.anchors, &self.algorithms)
    }

    /// Judges a chain, the client's certificate first.
    ///
    /// # Errors
    /// The first reason why it is not accepted.
    pub fn judge(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Rejected> {
        let Some((leaf, between)) = chain.split_first() else { return Err(Rejected::bare(Reason::Missing)) };
        let facts = Facts::read(leaf)?;
        let path = self.path(leaf, between, &facts, now, |_| ());
        let (path_reason, detail) = match path {
            Ok(()) => (None, String::new()),
            Err((reason, detail)) => (Some(reason), detail),
        };
        let own = self.own_reasons(&facts, i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        match own.into_iter().flatten().chain(path_reason).min() {
            None => Ok(()),
            Some(reason) => {
                let detail = if Some(reason) == path_reason { detail } else { String::new() };
                Err(Rejected { detail, ..facts.rejected(reason) })
            }
        }
    }

    /// Who issued a certificate that was accepted: OCSP asks about it by that.
    pub fn issuer(&self, certificate: &ClientCertificate, now: UnixTime) -> Option<Issuer> {
        let (leaf, between) = certificate.chain.split_first()?;
        let facts = Facts::read(leaf).ok()?;
        let spki = |path: &VerifiedPath<'_>| path.issuer_spki().as_ref().to_vec();
        let spki = self.path(leaf, between, &facts, now, spki).ok()?;
        Some(Issuer { name: facts.parsed.issuer().as_raw().to_vec(), spki })
    }

    /// Looks for a path to an authority, at a time at which the leaf is valid: its own dates are judged apart, so that
    /// an expired certificate of a stranger's is a stranger's first.
    fn path<T>(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        facts: &Facts<'_>,
        now: UnixTime,
        found: impl FnOnce(&VerifiedPath<'_>) -> T,
    ) -> Result<T, (Reason, String)> {
        if between.len() > INTERMEDIATES_MAX {
            return Err((Reason::Malformed, "the chain is too long".to_owned()));
        }
        let end = EndEntityCert::try_from(leaf).map_err(|error| explain(&error))?;
        let second = |at: i64| u64::try_from(at).unwrap_or(0);
        let validity = facts.parsed.validity();
        let (from, until) = (second(validity.not_before.timestamp()), second(validity.not_after.timestamp()));
        let at =
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.as_secs().max(from).min(until)));
        let usage = Usage { purposes: &self.rules.purposes };
        let lists = match self.rules.lists {
            None => Vec::new(),
            Some(_) => self.lists.of(between, &self.algorithms),
        };
        let revocation = match self.rules.lists {
            None => None,
            Some(rules) => revocation(&lists, rules)?,
        };
        let path =
            end.verify_for_usage(self.algorithms.all, &self.anchors, between, at, usage, revocation, None);
        path.map(|path| found(&path)).map_err(|error| explain(&error))
    }

    /// What the certificate itself says against it.
    fn own_reasons(&self, facts: &Facts<'_>, now_s: i64) -> [Option<Reason>; 7] {
        let (rules, parsed) = (&self.rules, &facts.parsed);
        let validity = parsed.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let name = facts.identity(&rules.identity_from);
        let may_come = name.as_ref().is_none_or(|name| {
            rules.allowed_names.is_empty()
                || rules.allowed_names.iter().any(|pattern| pattern.matches(name.kind, &name.text))
        });
        [
            (now_s < from).then_some(Reason::NotYetValid),
            (now_s > until).then_some(Reason::Expired),
            parsed.is_ca().then_some(Reason::Authority),
            (!is_for(facts, &rules.purposes)).then_some(Reason::Purpose),
            is_weak(facts, rules.rsa_bits_min).then_some(Reason::WeakKey),
            (until.saturating_sub(from) > rules.lifetime_s_max).then_some(Reason::LongLived),
            match name {
                None => Some(Reason::Nameless),
                Some(_) => (!may_come).then_some(Reason::NameNotAllowed),
            },
        ]
    }
}

/// What webpki is told of the lists; without any list, what that means.
fn revocation<'a>(
    lists: &'a [&'a CertRevocationList<'a>],
    rules: ListRules,
) -> Result<Option<RevocationOptions<'a>>, (Reason, String)> {
    match (RevocationOptionsBuilder::new(lists), rules.unknown) {
        (Ok(options), _) => Ok(Some(
            options
                .with_depth(rules.depth)
                .with_status_policy(rules.unknown)
                .with_expiration_policy(rules.expired)
                .build(),
        )),
        (Err(_), UnknownStatusPolicy::Allow) => Ok(None),
        (Err(_), UnknownStatusPolicy::Deny) => {
            Err((Reason::ListMissing, "there is no revocation list".to_owned()))
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "webpki's list; whatever else it finds, no path is trusted"
)]
fn explain(error: &Error) -> (Reason, String) {
    let reason = match error {
        Error::BadDer
        | Error::BadDerTime
        | Error::ExtensionValueInvalid
        | Error::InvalidCertValidity
        | Error::InvalidSerialNumber
        | Error::MalformedExtensions
        | Error::TrailingData(_)
        | Error::UnsupportedCertVersion
        | Error::UnsupportedCriticalExtension => Reason::Malformed,
        Error::CertNotValidYet { .. } => Reason::NotYetValid,
        Error::CertExpired { .. } => Reason::Expired,
        Error::CaUsedAsEndEntity => Reason::Authority,
        Error::EmptyEkuExtension | Error::RequiredEkuNotFoundContext(_) => Reason::Purpose,
        Error::CertRevoked => Reason::RevokedByList,
        Error::CrlExpired { .. } => Reason::ListExpired,
        Error::UnknownRevocationStatus
        | Error::IssuerNotCrlSigner
        | Error::InvalidCrlSignatureForPublicKey => Reason::ListMissing,
        _ => Reason::Untrusted,
    };
    (reason, error.to_string())
}

/// Whether the certificate says that it is for this. RFC 5280 4.2.1.3, 4.2.1.12.
fn is_for(facts: &Facts<'_>, purposes: &[String]) -> bool {
    let may_sign = match facts.parsed.key_usage() {
        Ok(Some(usage)) => usage.value.digital_signature(),
        Ok(None) => true,
        Err(_) => false,
    };
    let usage = match facts.parsed.extended_key_usage() {
        Ok(usage) => usage.map(|usage| usage.value),
        Err(_) => return false,
    };
    let has = |purpose: &String| {
        usage.is_some_and(|usage| {
            // RFC 5280 4.2.1.12: those that the parser knows by name.
            let named = [
                (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
                (usage.client_auth, CLIENT_AUTH),
                (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
                (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
                (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
                (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
            ];
            named.iter().any(|(is_given, oid)| *is_given && purpose == oid)
                || usage.other.iter().any(|other| other.to_id_string() == *purpose)
        })
    };
    may_sign && purposes.iter().all(has)
}

/// A curve is as long as the algorithms of TLS allow; RSA may be shorter than it should.
fn is_weak(facts: &Facts<'_>, rsa_bits_min: usize) -> bool {
    match facts.parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size() < rsa_bits_min,
        Ok(PublicKey::EC(point)) => point.key_size() < 256,
        // Ed25519 and whatever else: the handshake's signature decides.
        Ok(_) | Err(_) => false,
    }
}

/// RFC 5280 4.2.1.12, for the whole path: who says what for must say this too.
struct Usage<'r> {
    purposes: &'r [String],
}

impl ExtendedKeyUsageValidator for Usage<'_> {
    fn validate(&self, given: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let given = given.map(|purpose| Ok(purpose?.to_decoded_oid()));
        let present: Vec<Vec<usize>> = given.collect::<Result<_, Error>>()?;
        let dotted = |oid: &Vec<usize>| oid.iter().map(usize::to_string).collect::<Vec<_>>().join(".");
        let allowed: Vec<String> = present.iter().map(dotted).collect();
        let is_allowed = |purpose: &String| {
            allowed.iter().any(|allowed| allowed == purpose || allowed == ANY_EXTENDED_KEY_USAGE)
        };
        if allowed.is_empty() || self.purposes.iter().all(is_allowed) {
            return Ok(());
        }
        let required = KeyUsage::client_auth();
        Err(Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}

impl ClientCertVerifier for Judge {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        self.rules.presence == Presence::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let mut chain = vec![end_entity.clone()];
        chain.extend(intermediates.iter().cloned());
        match self.judge(&chain, now) {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            // Whatever the reason is, the peer is told the same: certificate_unknown.
            Err(rejected) => Err(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(
                Arc::new(rejected),
            )))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
