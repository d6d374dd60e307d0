//! Session tickets under keys that change: two are alive at a time, one that seals and the one before it. Drawn at random,
//! or derived from a secret and the clock, so that all nodes have the same without a word between them.
//! Never: a key of one profile in another; a ticket that outlives its key; a lock that a request takes (a handshake does).
//! Next: `mod.rs`, which lends them to a `ServerConfig`.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::constant_time;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use rustls::server::ProducesTickets;
use zeroize::Zeroizing;

use super::super::moment;

/// What a ticket begins with, to find its key by.
const NAME_BYTES: usize = 16;
/// AES-256.
const KEY_BYTES: usize = 32;
/// rustls puts the client's certificates into a ticket; nothing that is larger was made here.
const TICKET_BYTES_MAX: usize = 64 << 10;
/// How far the clocks of two nodes may be apart.
const SKEW_S: u64 = 60;

/// Name and key of one period.
const MATERIAL_BYTES: usize = NAME_BYTES + KEY_BYTES;

/// Makes and takes the tickets of one profile.
pub struct Tickets {
    origin: Origin,
    period_s: u64,
    clock: fn() -> u64,
    live: RwLock<Live>,
}

/// Where the key of a period comes from.
enum Origin {
    /// The kernel, so that a key that is gone can not be made again.
    Drawn,
    /// What all nodes have, already bound to the profile.
    Derived(Prk),
}

/// The keys that are alive. Few, so they are looked through in order.
struct Live {
    period: u64,
    keys: Vec<Arc<Key>>,
}

struct Key {
    period: u64,
    name: [u8; NAME_BYTES],
    aead: LessSafeKey,
}

impl Tickets {
    /// Tickets under keys that this process draws.
    pub fn drawn(rotation: Duration) -> Result<Self, Unspecified> {
        Self::build(Origin::Drawn, rotation, now_s)
    }

    /// Tickets under keys that every node with this secret and this profile has.
    pub fn derived(secret: &[u8], profile: &str, rotation: Duration) -> Result<Self, Unspecified> {
        Self::build(derivation(secret, profile, rotation)?, rotation, now_s)
    }

    fn build(origin: Origin, rotation: Duration, clock: fn() -> u64) -> Result<Self, Unspecified> {
        let period_s = rotation.as_secs().max(1);
        let live = RwLock::new(Live { period: 0, keys: Vec::new() });
        let tickets = Self { origin, period_s, clock, live };
        tickets.sealing()?;
        Ok(tickets)
    }

    /// The key of now, after a look whether its time has come.
    fn sealing(&self) -> Result<Arc<Key>, Unspecified> {
        let period = (self.clock)() / self.period_s;
        let of_now = |live: &Live| live.keys.iter().find(|key| key.period == period).cloned();
        {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(key) = of_now(&live).filter(|_| live.period == period) {
                return Ok(key);
            }
        }
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.period != period || live.keys.is_empty() {
            self.turn(&mut live, period)?;
        }
        of_now(&live).ok_or(Unspecified)
    }

    /// Moves to another period. Also backwards: a clock that was wrong must not leave yesterday's keys in use.
    fn turn(&self, live: &mut Live, period: u64) -> Result<(), Unspecified> {
        let before = period.saturating_sub(1);
        let keys = match &self.origin {
            Origin::Drawn => {
                let kept = live.keys.iter().find(|key| key.period == before).cloned();
                [kept, Some(Arc::new(Key::draw(period)?))].into_iter().flatten().collect()
            }
            // A node whose clock is ahead seals with the next one already.
            Origin::Derived(secret) => (before..=period + 1)
                .map(|period| Key::derive(secret, period).map(Arc::new))
                .collect::<Result<_, _>>()?,
        };
        *live = Live { period, keys };
        Ok(())
    }

    /// The key a ticket names, if it may still be used.
    fn opening(&self, name: &[u8]) -> Option<Arc<Key>> {
        // Rotates where nothing has been sealed for a while.
        self.sealing().ok()?;
        let now_s = (self.clock)();
        let is_begun = |key: &Key| key.period.saturating_mul(self.period_s) <= now_s.saturating_add(SKEW_S);
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.keys
            .iter()
            .find(|key| constant_time::verify_slices_are_equal(&key.name, name).is_ok() && is_begun(key))
            .cloned()
    }

    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let key = self.sealing()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce)?;
        let mut ticket = Vec::with_capacity(NAME_BYTES + NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        let mut sealed = plain.to_vec();
        key.aead.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(key.name),
            &mut sealed,
        )?;
        ticket.extend_from_slice(&sealed);
        Ok(ticket)
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_BYTES)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        if sealed.len() > TICKET_BYTES_MAX {
            return None;
        }
        let key = self.opening(name)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let bytes = key.aead.open_in_place(nonce, Aad::from(key.name), &mut plain).ok()?.len();
        plain.truncate(bytes);
        Some(plain)
    }
}

impl Key {
    fn draw(period: u64) -> Result<Self, Unspecified> {
        let mut material = Zeroizing::new([0; MATERIAL_BYTES]);
        SystemRandom::new().fill(material.as_mut_slice())?;
        Self::build(period, &material)
    }

    fn derive(secret: &Prk, period: u64) -> Result<Self, Unspecified> {
        let period_bytes = period.to_be_bytes();
        let mut material = Zeroizing::new([0; MATERIAL_BYTES]);
        secret.expand(&[b"period", &period_bytes], Material)?.fill(material.as_mut_slice())?;
        Self::build(period, &material)
    }

    fn build(period: u64, material: &[u8; MATERIAL_BYTES]) -> Result<Self, Unspecified> {
        let (name, key) = material.split_first_chunk::<NAME_BYTES>().ok_or(Unspecified)?;
        Ok(Self { period, name: *name, aead: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?) })
    }
}

/// RFC 5869: extracted once, and expanded into a secret of the profile. The length before the name keeps two profiles apart
/// whatever their names.
fn derivation(secret: &[u8], profile: &str, rotation: Duration) -> Result<Origin, Unspecified> {
    let name_bytes = u64::try_from(profile.len()).map_err(|_| Unspecified)?.to_be_bytes();
    let rotation_s = rotation.as_secs().to_be_bytes();
    let mut own = Zeroizing::new([0; KEY_BYTES]);
    Salt::new(HKDF_SHA256, b"mcpring tls tickets 1")
        .extract(secret)
        .expand(&[&name_bytes, profile.as_bytes(), &rotation_s], ProfileSecret)?
        .fill(own.as_mut_slice())?;
    Ok(Origin::Derived(Prk::new_less_safe(HKDF_SHA256, own.as_slice())))
}

/// The length of a period's material.
struct Material;

impl KeyType for Material {
    fn len(&self) -> usize {
        MATERIAL_BYTES
    }
}

/// The length of a profile's secret.
struct ProfileSecret;

impl KeyType for ProfileSecret {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

fn now_s() -> u64 {
    u64::try_from(moment::unix_now_s()).unwrap_or(0)
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    /// A ticket is good for at least this long, and for at most twice as long.
    fn lifetime(&self) -> u32 {
        u32::try_from(self.period_s).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain).ok()
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tickets").field("period_s", &self.period_s).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

    thread_local! {
        static NOW_S: Cell<u64> = const { Cell::new(0) };
    }

    fn at(seconds: u64) {
        NOW_S.set(1_800_000_000 + seconds);
    }

    fn clock() -> u64 {
        NOW_S.get()
    }

    fn drawn() -> Tickets {
        Tickets::build(Origin::Drawn, HOUR, clock).unwrap()
    }

    fn derived(secret: &[u8], profile: &str, rotation: Duration) -> Tickets {
        Tickets::build(derivation(secret, profile, rotation).unwrap(), rotation, clock).unwrap()
    }

    #[test]
    fn takes_a_ticket_for_one_period_after_the_one_it_was_made_in() {
        for tickets in [drawn, || derived(SECRET, "public", HOUR)].map(|build| {
            at(0);
            build()
        }) {
            at(0);
            let ticket = tickets.seal(b"session").unwrap();
            for (seconds, is_taken) in [(0, true), (3599, true), (3600, true), (7199, true), (7200, false)] {
                at(seconds);
                assert_eq!(tickets.open(&ticket).is_some(), is_taken, "{seconds}");
            }
            assert_eq!(tickets.lifetime(), 3600);
        }
    }

    #[test]
    fn keeps_two_drawn_keys_and_forgets_across_a_pause() {
        at(0);
        let tickets = drawn();
        let first = tickets.seal(b"a").unwrap();
        at(3 * 3600);
        let _ = tickets.seal(b"b").unwrap();
        assert!(tickets.live.read().unwrap().keys.len() <= 2);
        // Back where the clock was: the key is gone, not made again.
        at(0);
        assert_eq!(tickets.open(&first), None);
    }

    #[test]
    fn nodes_with_one_secret_take_each_others_tickets_and_nobody_elses() {
        at(0);
        let here = derived(SECRET, "public", HOUR);
        let ticket = here.seal(b"session").unwrap();
        assert_eq!(derived(SECRET, "public", HOUR).open(&ticket).unwrap(), b"session");
        let other_secret = b"0123456789abcdef0123456789abcdeg";
        for other in [
            derived(other_secret, "public", HOUR),
            derived(SECRET, "internal", HOUR),
            derived(SECRET, "publi", HOUR),
            derived(SECRET, "public", 2 * HOUR),
            drawn(),
        ] {
            assert_eq!(other.open(&ticket), None);
        }
    }

    #[test]
    fn a_node_whose_clock_is_a_little_behind_takes_the_tickets_of_the_others() {
        at(3600);
        let ahead = derived(SECRET, "public", HOUR).seal(b"session").unwrap();
        let behind = derived(SECRET, "public", HOUR);
        at(3599);
        assert!(behind.open(&ahead).is_some());
        at(3600 - SKEW_S - 1);
        assert_eq!(behind.open(&ahead), None);
    }

    #[test]
    fn refuses_what_was_cut_changed_or_made_up() {
        at(0);
        let tickets = drawn();
        let ticket = tickets.seal(b"session").unwrap();
        for cut in 0..ticket.len() {
            assert_eq!(tickets.open(&ticket[..cut]), None, "{cut}");
        }
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(tickets.open(&changed), None, "{index}");
        }
        let mut huge = ticket.clone();
        huge.resize(NAME_BYTES + NONCE_LEN + TICKET_BYTES_MAX + 1, 0);
        assert_eq!(tickets.open(&huge), None);
    }

    #[test]
    fn two_tickets_of_one_session_look_nothing_alike_and_tell_nothing() {
        at(0);
        let tickets = derived(SECRET, "public", HOUR);
        let (first, second) = (tickets.seal(b"session").unwrap(), tickets.seal(b"session").unwrap());
        assert_ne!(first[NAME_BYTES..], second[NAME_BYTES..]);
        assert!(!format!("{tickets:?}").contains("0123456789abcdef"));
        assert!(memchr::memmem::find(&first, b"session").is_none());
    }
}
