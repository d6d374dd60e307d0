//! Revocation lists: whose they are, which of several is the newest, who signed them.
//! Never: a file, a clock; a list that nobody who is known signed in the place of one that somebody did.
//! Next: `judge`, which looks certificates up in them.

use std::cmp::{Ordering, Reverse};
use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList, RawPublicKeyEntity};
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

/// A revocation list that can be read; who signed it is another question.
pub struct List {
    list: CertRevocationList<'static>,
    /// Its issuer's name, DER.
    issuer: Vec<u8>,
    /// For which certificates of that issuer's: the issuing distribution point, empty for all.
    scope: Vec<u8>,
    /// Big endian, without zeroes before it. RFC 5280 5.2.3.
    number: Option<Vec<u8>>,
    /// When it was made by its own word, Unix seconds.
    made_at_s: i64,
    /// What is signed, DER.
    signed: Vec<u8>,
    /// The content of the signature algorithm's OID.
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl List {
    /// Reads DER.
    ///
    /// # Errors
    /// Why it is no list, for people.
    pub fn read(der: &[u8]) -> Result<Self, String> {
        let list = OwnedCertRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let (_, parsed) = CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let scope =
            parsed.extensions().iter().find(|found| found.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
        Ok(Self {
            list: CertRevocationList::Owned(list),
            issuer: parsed.issuer().as_raw().to_vec(),
            scope: scope.map(|extension| extension.value.to_vec()).unwrap_or_default(),
            number: parsed.crl_number().map(|number| number.to_bytes_be()),
            made_at_s: parsed.last_update().timestamp(),
            signed: parsed.tbs_cert_list.as_ref().to_vec(),
            algorithm: parsed.signature_algorithm.algorithm.as_bytes().to_vec(),
            signature: parsed.signature_value.data.to_vec(),
        })
    }

    /// All that it says, DER.
    pub fn content(&self) -> &[u8] {
        &self.signed
    }

    /// Whether both speak of the same certificates.
    pub fn is_like(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.scope == other.scope
    }

    /// Which of two lists of one signer's is newer.
    pub fn compare(&self, other: &Self) -> Ordering {
        let numbers = self.number.as_ref().zip(other.number.as_ref());
        let by_number = numbers.map(|(own, its)| own.len().cmp(&its.len()).then_with(|| own.cmp(its)));
        by_number.unwrap_or(Ordering::Equal).then(self.made_at_s.cmp(&other.made_at_s))
    }

    /// Whether the holder of `spki`, DER, signed it.
    fn is_by(&self, spki: &[u8], algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let spki = SubjectPublicKeyInfoDer::from(spki);
        let Ok(key) = RawPublicKeyEntity::try_from(&spki) else { return false };
        let is_named = |id: &[u8]| {
            // A tag and a length before the OID; parameters may follow.
            id.get(2..).is_some_and(|rest| rest.starts_with(&self.algorithm))
        };
        let mut named = algorithms.all.iter().filter(|known| is_named(known.signature_alg_id().as_ref()));
        named.any(|known| key.verify_signature(*known, &self.signed, &self.signature).is_ok())
    }

    /// Which of the authorities signed it: its SubjectPublicKeyInfo without what is around it.
    pub(super) fn signer<'a>(
        &self,
        anchors: &'a [TrustAnchor<'static>],
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Option<&'a [u8]> {
        let mut named = anchors.iter().filter(|anchor| sequence(&anchor.subject) == self.issuer);
        let signer = named.find(|anchor| self.is_by(&sequence(&anchor.subject_public_key_info), algorithms));
        signer.map(|anchor| anchor.subject_public_key_info.as_ref())
    }
}

/// DER: the SEQUENCE of that content.
fn sequence(content: &[u8]) -> Vec<u8> {
    rustls::DistinguishedName::in_sequence(content).as_ref().to_vec()
}

/// Lists of a profile, those of one issuer for the same certificates together.
pub(super) struct Lists {
    alike: Vec<Alike>,
}

struct Alike {
    /// One if an authority signed it; more when only a client can show who may have.
    lists: Vec<Arc<List>>,
    is_signed: bool,
}

impl Lists {
    /// Of lists that the authorities signed, the newest: webpki takes the first that it finds, whatever comes after.
    pub(super) fn choose(
        lists: Vec<Arc<List>>,
        anchors: &[TrustAnchor<'static>],
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Self {
        let mut groups: Vec<Vec<Arc<List>>> = Vec::new();
        for list in lists {
            match groups.iter_mut().find(|group| group.first().is_some_and(|first| first.is_like(&list))) {
                Some(group) => group.push(list),
                None => groups.push(vec![list]),
            }
        }
        let alike = groups.into_iter().map(|lists| {
            let signed = lists.iter().filter_map(|list| Some((list, list.signer(anchors, algorithms)?)));
            let newest = signed.reduce(|best, next| {
                // Numbers of two keys have nothing to do with each other.
                let order = match best.1 == next.1 {
                    true => best.0.compare(next.0),
                    false => best.0.made_at_s.cmp(&next.0.made_at_s),
                };
                if order == Ordering::Greater { best } else { next }
            });
            match newest {
                Some((newest, _)) => Alike { lists: vec![Arc::clone(newest)], is_signed: true },
                None => Alike { lists, is_signed: false },
            }
        });
        Self { alike: alike.collect() }
    }

    /// The lists to look a chain up in, those that are sure first, then the newest first.
    pub(super) fn of(
        &self,
        between: &[CertificateDer<'_>],
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Vec<&CertRevocationList<'static>> {
        let newest = self.alike.iter().filter_map(|alike| {
            let list = match alike.lists.as_slice() {
                [alone] => alone,
                several => {
                    let signed = several.iter().filter(|list| is_by_any(list, between, algorithms));
                    // Without one, webpki refuses whichever it is.
                    newest(signed).or_else(|| newest(several.iter()))?
                }
            };
            Some((alike.is_signed, list))
        });
        let mut newest: Vec<_> = newest.collect();
        newest.sort_by_key(|(is_signed, list)| (Reverse(*is_signed), Reverse(list.made_at_s)));
        newest.into_iter().map(|(_, list)| &list.list).collect()
    }
}

fn newest<'a>(lists: impl Iterator<Item = &'a Arc<List>>) -> Option<&'a Arc<List>> {
    lists.reduce(|best, next| if best.compare(next) == Ordering::Greater { best } else { next })
}

fn is_by_any(list: &List, between: &[CertificateDer<'_>], algorithms: &WebPkiSupportedAlgorithms) -> bool {
    between.iter().filter_map(|der| X509Certificate::from_der(der).ok()).any(|(_, certificate)| {
        certificate.subject().as_raw() == list.issuer && list.is_by(certificate.public_key().raw, algorithms)
    })
}
