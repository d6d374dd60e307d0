//! Certificates and lists made on the spot. Every kind of certificate on every transport: `tests/endtoend/certificates.rs`.
//! Next: `judge` and `lists`, what is tested here.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;
use webpki::{ExpirationPolicy, RevocationCheckDepth, UnknownStatusPolicy};

use super::judge::{CLIENT_AUTH, Judge, ListRules, Presence, Rules};
use super::lists::List;
use super::names::NameKind;
use super::*;
use crate::pipeline::turn::Now;

const NOW_S: i64 = 1_795_338_840;
const SERIAL: u64 = 42;
const KINDS: [NameKind; 2] = [NameKind::Uri, NameKind::Dns];

fn at(unix_s: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(unix_s).unwrap()
}

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (at(NOW_S - 3600), at(NOW_S + 3600));
    params
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (mut params, key) = (params(name), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = (params(name), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    pub(crate) fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> CertificateDer<'static> {
        let (mut params, key) = (params("somebody"), KeyPair::generate().unwrap());
        params.serial_number = Some(SerialNumber::from(SERIAL));
        params.subject_alt_names = vec![
            SanType::DnsName("a.example.com".try_into().unwrap()),
            SanType::URI("spiffe://example.com/a".try_into().unwrap()),
        ];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        params.signed_by(&key, &self.issuer).unwrap().der().clone()
    }

    /// A list of that number, made so many seconds from now.
    pub(crate) fn list(&self, number: u64, made_in_s: i64, revoked: &[u64]) -> Vec<u8> {
        let revoked = revoked.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at(NOW_S - 7200),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: at(NOW_S + made_in_s),
            next_update: at(NOW_S + 86_400),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().der().to_vec()
    }
}

pub(crate) fn rules(purposes: &[&str]) -> Rules {
    Rules {
        profile: "clients".into(),
        presence: Presence::Required,
        identity_from: KINDS.to_vec(),
        allowed_names: Vec::new(),
        purposes: purposes.iter().map(|purpose| (*purpose).to_owned()).collect(),
        lifetime_s_max: i64::MAX,
        rsa_bits_min: 2048,
        lists: None,
    }
}

pub(crate) fn judge(authorities: &[&Authority], lists: &[Vec<u8>], rules: Rules) -> Judge {
    let mut roots = RootCertStore::empty();
    authorities.iter().for_each(|authority| roots.add(authority.certificate.clone()).unwrap());
    let depth = RevocationCheckDepth::EndEntity;
    let (unknown, expired) = (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce);
    let used = (!lists.is_empty()).then_some(ListRules { depth, unknown, expired });
    let lists = lists.iter().map(|der| Arc::new(List::read(der).unwrap())).collect();
    Judge::build(roots, lists, Rules { lists: used, ..rules }, None, [7; 32])
}

pub(crate) fn now() -> Now {
    Now { ms: 0, unix_ms: u64::try_from(NOW_S).unwrap() * 1000 }
}

fn reason(judge: &Judge, chain: &[CertificateDer<'_>]) -> Option<Reason> {
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now().unix_s()));
    judge.judge(chain, now).err().map(|rejected| rejected.reason)
}

#[test]
fn of_several_lists_the_newest_counts_whatever_their_order() {
    let authority = Authority::new("clients");
    let client = authority.client(|_| {});
    let revoked = Some(Reason::RevokedByList);
    for (first, second, expected) in [
        // Numbers decide, dates where they are equal.
        ((1, -60, &[][..]), (2, -60, &[SERIAL][..]), revoked),
        ((1, -10, &[][..]), (2, -60, &[SERIAL][..]), revoked),
        ((2, -60, &[][..]), (2, -10, &[SERIAL][..]), revoked),
        ((255, -60, &[][..]), (256, -60, &[SERIAL][..]), revoked),
        ((1, -60, &[SERIAL][..]), (2, -60, &[][..]), None),
    ] {
        let list = |(number, made_in_s, serials)| authority.list(number, made_in_s, serials);
        for lists in [[list(first), list(second)], [list(second), list(first)]] {
            let judge = judge(&[&authority], &lists, rules(&[CLIENT_AUTH]));
            assert_eq!(reason(&judge, std::slice::from_ref(&client)), expected, "{first:?} {second:?}");
        }
    }
}

#[test]
fn a_list_that_somebody_else_signed_hides_none() {
    let (authority, stranger) = (Authority::new("clients"), Authority::new("clients"));
    let client = authority.client(|_| {});
    for (serials, expected) in [(&[][..], None), (&[SERIAL][..], Some(Reason::RevokedByList))] {
        let lists =
            [stranger.list(9, -1, &[]), authority.list(1, -60, serials), stranger.list(9, -1, &[SERIAL])];
        let judge = judge(&[&authority], &lists, rules(&[CLIENT_AUTH]));
        assert_eq!(reason(&judge, std::slice::from_ref(&client)), expected);
    }
    // Nor does it count where it is the only one.
    let judge = judge(&[&authority], &[stranger.list(9, -1, &[])], rules(&[CLIENT_AUTH]));
    assert_eq!(reason(&judge, &[client]), Some(Reason::ListMissing));
}

#[test]
fn the_newest_list_of_an_authority_that_only_the_client_shows_counts_too() {
    let root = Authority::new("root");
    let (branch, stranger) = (root.below("branch", |_| {}), Authority::new("branch"));
    let chain = [branch.client(|_| {}), branch.certificate.clone()];
    let old = branch.list(1, -60, &[]);
    for (newest, expected) in
        [(branch.list(2, -30, &[SERIAL]), Some(Reason::RevokedByList)), (branch.list(2, -30, &[]), None)]
    {
        let forged = stranger.list(9, -1, &[]);
        for lists in [[forged.clone(), old.clone(), newest.clone()], [newest, old.clone(), forged]] {
            assert_eq!(reason(&judge(&[&root], &lists, rules(&[CLIENT_AUTH])), &chain), expected);
        }
    }
}

#[test]
fn an_authority_between_must_be_for_all_that_is_asked_for() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection, ServerAuth};
    let email = "1.3.6.1.5.5.7.3.4";
    let purpose = Some(Reason::Purpose);
    for (asked, given, expected) in [
        (&[email][..], vec![], None),
        (&[email], vec![EmailProtection], None),
        (&[email], vec![Any], None),
        (&[email], vec![ServerAuth], purpose),
        (&[email], vec![ClientAuth], purpose),
        (&[CLIENT_AUTH], vec![ServerAuth], purpose),
        (&[CLIENT_AUTH], vec![ClientAuth], None),
        (&[CLIENT_AUTH, email], vec![ClientAuth], purpose),
        (&[CLIENT_AUTH, email], vec![ClientAuth, EmailProtection], None),
    ] {
        let root = Authority::new("root");
        let branch = root.below("branch", |params| params.extended_key_usages.clone_from(&given));
        let client = branch.client(|params| params.extended_key_usages.push(EmailProtection));
        let found = reason(&judge(&[&root], &[], rules(asked)), &[client, branch.certificate.clone()]);
        assert_eq!(found, expected, "{asked:?} {given:?}");
    }
}

#[test]
fn a_certificate_of_too_many_names_names_nobody() {
    let authority = Authority::new("clients");
    let named = |count: usize| {
        authority.client(|params| {
            let name = |index: usize| SanType::DnsName(format!("n{index}.example.com").try_into().unwrap());
            params.subject_alt_names = (1..count).map(name).collect();
            params.subject_alt_names.push(SanType::URI("spiffe://example.com/a".try_into().unwrap()));
        })
    };
    let judge = judge(&[&authority], &[], rules(&[CLIENT_AUTH]));
    assert_eq!(reason(&judge, &[named(NAMES_MAX)]), None);
    assert_eq!(
        &*ClientCertificate::read(&[named(NAMES_MAX)], &KINDS).unwrap().identity,
        "spiffe://example.com/a"
    );
    assert_eq!(reason(&judge, &[named(NAMES_MAX + 1)]), Some(Reason::Nameless));
    assert_eq!(
        ClientCertificate::read(&[named(NAMES_MAX + 1)], &KINDS).unwrap_err().reason,
        Reason::Nameless
    );
}
