//! A number measured several times: its median, and the least and the greatest.

use std::fmt;

#[derive(Clone, Debug)]
pub(crate) struct Spread {
    sorted: Vec<f64>,
    decimals: usize,
}

impl Spread {
    /// Of measured values, shown with so many decimals.
    pub(crate) fn new(values: impl IntoIterator<Item = f64>, decimals: usize) -> Self {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        assert!(!sorted.is_empty(), "nothing was measured");
        sorted.sort_by(f64::total_cmp);
        Self { sorted, decimals }
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        match self.sorted.len() % 2 {
            1 => self.sorted[middle],
            _ => self.sorted[middle - 1].midpoint(self.sorted[middle]),
        }
    }

    pub(crate) fn greatest(&self) -> f64 {
        self.sorted[self.sorted.len() - 1]
    }

    fn text(&self, value: f64) -> String {
        let text = format!("{value:.*}", self.decimals);
        let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
        let mut out = String::new();
        for (at, digit) in whole.chars().enumerate() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        match rest {
            "" => out,
            rest => format!("{out}.{rest}"),
        }
    }
}

/// `median (least to greatest)`, or the value alone if it was the same each time.
impl fmt::Display for Spread {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let median = self.text(self.median());
        let [least, greatest] = [self.sorted.first(), self.sorted.last()]
            .map(|value| value.map_or_else(String::new, |value| self.text(*value)));
        if least == greatest {
            return out.write_str(&median);
        }
        write!(out, "{median} ({least} to {greatest})")
    }
}
