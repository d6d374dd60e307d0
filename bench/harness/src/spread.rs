//! Median and range of a few repeated measurements.
//! Never: a mean; one disturbed round must not move the number that is quoted.
//! Next: `bin/compare/table.rs`, which quotes them.

/// Median and range.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    /// The middle value.
    pub median: f64,
    /// The lowest.
    pub low: f64,
    /// The highest.
    pub high: f64,
}

impl Spread {
    /// Of `values`; none of none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values = values.into_iter().collect::<Vec<_>>();
        values.sort_by(f64::total_cmp);
        let (low, high) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let upper = *values.get(middle)?;
        let lower = *values.get(middle.saturating_sub(1))?;
        let median = if values.len().is_multiple_of(2) { f64::midpoint(lower, upper) } else { upper };
        Some(Self { median, low, high })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(&format!("{:.2} ({:.2}-{:.2})", self.median, self.low, self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_middle_and_the_ends() {
        let table = [
            (vec![3.0, 1.0, 2.0], "2.00 (1.00-3.00)"),
            (vec![4.0, 1.0, 2.0, 3.0], "2.50 (1.00-4.00)"),
            (vec![7.0], "7.00 (7.00-7.00)"),
        ];
        for (values, want) in table {
            assert_eq!(Spread::of(values).unwrap().to_string(), want);
        }
        assert!(Spread::of([]).is_none());
    }
}
