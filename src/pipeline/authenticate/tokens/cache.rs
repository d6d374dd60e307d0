//! Tokens that a shard has verified, by their SHA-256: a signature costs a hundred times as much as the hash.
//! A table of sets: a token has a few places it can be in, so nothing ever grows or moves, and the one that was not
//! used for longest gives way. Only what was verified is put in.
//! Never: a token in clear, an answer from another snapshot, an answer after its time.
//! Next: `admit`.

use aws_lc_rs::digest;

use super::super::Principal;

/// Places of one set.
const WAYS: usize = 8;

/// What is remembered of one token.
struct Entry {
    print: [u8; 32],
    principal: Principal,
    /// The certificate it is bound to.
    bound: Option<[u8; 32]>,
    /// The snapshot's under which it was verified.
    generation: u64,
    /// Rises with every look.
    used: u64,
}

/// The verified tokens of one shard.
#[derive(Default)]
pub struct TokenCache {
    /// Made when the first token is put in.
    sets: Vec<Vec<Entry>>,
    clock: u64,
    tokens_max: usize,
}

/// Names a token.
pub fn print_of(token: &[u8]) -> [u8; 32] {
    let mut print = [0; 32];
    for (to, from) in print.iter_mut().zip(digest::digest(&digest::SHA256, token).as_ref()) {
        *to = *from;
    }
    print
}

impl TokenCache {
    /// Takes the bound of a new snapshot. What was remembered under the old one does not count any more, so it goes.
    pub fn follow(&mut self, tokens_max: usize) {
        self.sets.clear();
        self.tokens_max = tokens_max;
    }

    /// Whose token it is, if that was found out under this snapshot, and for this certificate where it is bound to one.
    pub fn find(
        &mut self,
        print: &[u8; 32],
        certificate: Option<&[u8; 32]>,
        generation: u64,
        now_s: u64,
    ) -> Option<&Principal> {
        self.clock += 1;
        let clock = self.clock;
        let set = set_of(&mut self.sets, print)?;
        let entry = set.iter_mut().find(|entry| entry.print == *print)?;
        let is_current = entry.generation == generation && now_s < entry.principal.expires_at_s;
        let is_bound_here = entry.bound.is_none() || entry.bound.as_ref() == certificate;
        if !is_current || !is_bound_here {
            return None;
        }
        entry.used = clock;
        Some(&entry.principal)
    }

    /// Remembers whose token it is.
    pub fn put(&mut self, print: [u8; 32], bound: Option<[u8; 32]>, generation: u64, principal: Principal) {
        if self.tokens_max == 0 {
            return;
        }
        if self.sets.is_empty() {
            self.sets.resize_with(self.tokens_max.div_ceil(WAYS), Vec::new);
        }
        self.clock += 1;
        let entry = Entry { print, principal, bound, generation, used: self.clock };
        let Some(set) = set_of(&mut self.sets, &print) else { return };
        if let Some(known) = set.iter_mut().find(|known| known.print == print) {
            *known = entry;
        } else if set.len() < WAYS {
            set.push(entry);
        } else if let Some(oldest) = set.iter_mut().min_by_key(|known| known.used) {
            *oldest = entry;
        }
    }

    /// Tokens that are remembered.
    pub fn len(&self) -> usize {
        self.sets.iter().map(Vec::len).sum()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The places a token can be in. Its SHA-256 is as good as chance, and nobody can put in what was not verified.
fn set_of<'s>(sets: &'s mut [Vec<Entry>], print: &[u8; 32]) -> Option<&'s mut Vec<Entry>> {
    let first = u64::from_le_bytes(*print.first_chunk()?);
    let at = usize::try_from(first).ok()?.checked_rem(sets.len())?;
    sets.get_mut(at)
}
