//! What somebody probably meant: the candidate a few slips of the finger away.
//! Next: `shape`, which asks it about unknown keys and words.

/// Longer words are not compared; nothing the file knows comes near it.
const WORD_CHARS_MAX: usize = 64;

/// The candidate nearest to `word`, if one is near: at most one slip in three characters. The first of equals.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= slips_max && *slips < candidate.chars().count())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Slips between two words: a character missing, added, changed, or swapped with its neighbour. Case and the
/// difference between `-` and `_` are no slips.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (folded(left), folded(right));
    if left.len() > WORD_CHARS_MAX || right.len() > WORD_CHARS_MAX {
        return usize::MAX;
    }
    let mut before = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (above, &l) in left.iter().enumerate() {
        let mut next = vec![above + 1];
        let mut right_before = None;
        for (at, &r) in right.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut slips =
                (cell(&row, at) + usize::from(l != r)).min(cell(&row, at + 1) + 1).min(cell(&next, at) + 1);
            if left_before == Some(r) && right_before == Some(l) && at > 0 {
                slips = slips.min(cell(&before, at - 1) + 1);
            }
            next.push(slips);
            right_before = Some(r);
        }
        before = std::mem::replace(&mut row, next);
        left_before = Some(l);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// Lower case, `-` as `_`.
fn folded(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips() {
        for (left, right, expect) in [
            ("", "", 0),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("Max-Size", "max_size", 0),
            ("max_conections", "max_connections", 1),
            ("adress", "address", 1),
            ("pulbic", "public", 1),
            ("ab", "ba", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(left, right), expect, "{left} {right}");
            assert_eq!(distance(right, left), expect, "{right} {left}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let candidates = ["tls", "path", "auth", "auth_required", "address"];
        for (word, expect) in [
            ("tsl", Some("tls")),
            ("adress", Some("address")),
            ("auth-required", Some("auth_required")),
            ("paths", Some("path")),
            ("cors", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, candidates), expect, "{word}");
        }
        assert_eq!(nearest(&"a".repeat(100_000), candidates), None);
    }
}
