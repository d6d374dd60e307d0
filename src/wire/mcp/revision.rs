//! Protocol revisions and the two eras they fall into.
//! Next: `meta`, how a message says which one it speaks.

/// A published revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// HTTP with two endpoints; over Streamable HTTP it is answered like its successor.
    V20241105,
    /// Streamable HTTP.
    V20250326,
    /// No batches, structured output.
    V20250618,
    /// Pollable streams.
    V20251125,
    /// Stateless, metadata in every request.
    V20260728,
}

/// How a revision carries its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// A handshake and a session.
    Legacy,
    /// Everything in each request.
    Modern,
}

impl Revision {
    /// Newest first.
    pub const ALL: [Self; 5] =
        [Self::V20260728, Self::V20251125, Self::V20250618, Self::V20250326, Self::V20241105];

    /// The revisions that `server/discover` and -32022 name: a legacy one can not be spoken with `_meta`.
    pub const MODERN: [Self; 1] = [Self::V20260728];

    /// The newest revision with a handshake, offered when a client asks for one we do not know.
    pub const LATEST_LEGACY: Self = Self::V20251125;

    /// The date that is its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::V20241105 => "2024-11-05",
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    /// The revision of that name.
    pub fn decode(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.name() == name)
    }

    /// Its era.
    pub fn era(self) -> Era {
        match self {
            Self::V20241105 | Self::V20250326 | Self::V20250618 | Self::V20251125 => Era::Legacy,
            Self::V20260728 => Era::Modern,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_revision() {
        for revision in Revision::ALL {
            assert_eq!(Revision::decode(revision.name()), Some(revision));
        }
        for wrong in ["", "2026-07-29", "2025-11-25 ", "v999", "draft"] {
            assert_eq!(Revision::decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn modern_lists_exactly_the_modern_ones() {
        let modern: Vec<_> = Revision::ALL.into_iter().filter(|r| r.era() == Era::Modern).collect();
        assert_eq!(modern, Revision::MODERN);
        assert_eq!(Revision::LATEST_LEGACY.era(), Era::Legacy);
    }
}
