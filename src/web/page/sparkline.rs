//! A small bar chart, as SVG: the shape of the last days at a glance. [`super::chart`] draws large ones.

use crate::web::format::{compact_number, grouped, plural};

/// Height of the highest bar, in units of the view box.
const HEIGHT: i64 = 40;
/// From the left edge of a bar to that of the next, in units of the view box.
const STEP: i64 = 4;

/// One bar per value.
#[derive(Clone, Debug)]
pub struct Sparkline {
    pub bars: Vec<SparklineBar>,
    /// The labels of the first and the last bar.
    pub first: String,
    pub last: String,
    /// The sum and the highest bar: `1,204 requests in 30 days. Peak: 61 on 12 Nov.`
    pub description: String,
    /// The highest value, as the label of the upper edge: `61`, `1.2M`.
    pub peak: String,
    highest: i128,
    /// In units of the view box.
    pub width: i64,
    pub height: i64,
}

/// Positions and lengths are in units of the view box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SparklineBar {
    pub x: i64,
    pub y: i64,
    pub height: i64,
    /// `3 Nov: 1,204`, as the tooltip.
    pub label: String,
}

impl Sparkline {
    /// `points` are labels and values, oldest first; negative values count as 0. `noun` is what is counted, in the plural.
    #[must_use]
    pub fn new(noun: &str, points: &[(String, i64)]) -> Self {
        let values = || points.iter().map(|(_, value)| i128::from((*value).max(0)));
        let highest = values().max().unwrap_or(0);
        let count = i64::try_from(points.len()).unwrap_or(i64::MAX);
        let days = plural(count, "day");
        let total = format!("{} {noun} in {count} {days}.", grouped(values().sum::<i128>()));
        let peak = points.iter().rev().max_by_key(|(_, value)| *value).filter(|_| highest > 0);
        let peak = peak.map(|(day, _)| format!(" Peak: {} on {day}.", grouped(highest)));
        Self {
            bars: (0..).zip(points).map(|(index, point)| SparklineBar::new(index, point, highest)).collect(),
            first: points.first().map(|(day, _)| day.clone()).unwrap_or_default(),
            last: points.last().map(|(day, _)| day.clone()).unwrap_or_default(),
            description: format!("{total}{}", peak.unwrap_or_default()),
            peak: compact_number(highest),
            highest,
            width: (count * STEP).max(STEP) - 1,
            height: HEIGHT,
        }
    }

    /// Whether all values are 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.highest == 0
    }
}

impl SparklineBar {
    fn new(index: i64, (day, value): &(String, i64), highest: i128) -> Self {
        let value = i128::from((*value).max(0));
        // A unit at least, so that the days without requests form a base line.
        let height = i64::try_from(value * i128::from(HEIGHT) / highest.max(1)).unwrap_or(HEIGHT).max(1);
        Self { x: index * STEP, y: HEIGHT - height, height, label: format!("{day}: {}", grouped(value)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sparkline(values: &[i64]) -> Sparkline {
        let points: Vec<_> = (1..).zip(values).map(|(day, value)| (format!("{day} Nov"), *value)).collect();
        Sparkline::new("requests", &points)
    }

    #[test]
    fn bars_are_as_high_as_their_values() {
        let heights =
            |values: &[i64]| sparkline(values).bars.iter().map(|bar| bar.height).collect::<Vec<_>>();
        assert_eq!(heights(&[0, 10, 20, -3]), [1, 20, 40, 1]);
        assert_eq!(heights(&[0, 0]), [1, 1]);
        assert_eq!(heights(&[i64::MAX, 1]), [40, 1]);
        assert!(sparkline(&[7, 3]).bars.iter().all(|bar| bar.y + bar.height == HEIGHT));
    }

    #[test]
    fn description_names_the_highest_bar() {
        let chart = sparkline(&[1000, 4, 1000]);
        assert_eq!(chart.description, "2,004 requests in 3 days. Peak: 1,000 on 1 Nov.");
        assert_eq!(chart.peak, "1,000");
        assert_eq!((chart.bars[0].label.as_str(), chart.width), ("1 Nov: 1,000", 11));
        assert_eq!(sparkline(&[0]).description, "0 requests in 1 day.");
        assert_eq!(sparkline(&[]).bars, []);
    }
}
