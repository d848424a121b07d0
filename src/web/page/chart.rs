//! Stacked bar charts as SVG, without scripts and style attributes.
//!
//! Horizontal positions are per cent and vertical ones pixels, so bars stretch with the page and letters do not. A table
//! below has the same numbers.

use std::fmt::{self, Display, Formatter};

use crate::web::format::{compact_number, grouped};

/// Position of the highest tick, in pixels from the top. It leaves room for half a label.
const TOP: i64 = 10;
/// Height of the labels below the bars, in pixels.
const LABEL_HEIGHT: i64 = 28;
/// Maximum number of labels below the bars.
const LABELS: usize = 7;
/// Positions and lengths are in thousandths, so that nothing is rounded twice.
const UNIT: i64 = 1000;
/// The whole width: 100 per cent.
const WIDTH: i64 = 100 * UNIT;
/// Maximum width of a bar.
const BAR_MAX: i64 = 8 * UNIT;

/// One of the two parts of every bar.
#[derive(Clone, Copy, Debug)]
pub struct Series {
    /// In the legend and over the column of the table: `Answered`.
    pub name: &'static str,
    /// The CSS class of its colour: `chart-main`, `chart-other` or `chart-bad`.
    pub class: &'static str,
}

/// The height of a chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChartSize {
    /// What the page is about.
    High,
    /// Above what the page is about.
    Low,
}

impl ChartSize {
    /// Position of zero, in pixels from the top. The labels are below.
    const fn base(self) -> i64 {
        match self {
            Self::High => 140,
            Self::Low => 92,
        }
    }

    /// Maximum number of ticks besides zero. Round steps may need fewer.
    const fn ticks(self) -> i128 {
        match self {
            Self::High => 4,
            Self::Low => 2,
        }
    }
}

/// What the charts of a page have in common.
#[derive(Clone, Copy, Debug)]
pub struct ChartStyle {
    /// What a point is: `Day`.
    pub per: &'static str,
    /// What is counted: `sessions`.
    pub unit: &'static str,
    /// The parts of every bar.
    pub series: [Series; 2],
    /// Its height.
    pub size: ChartSize,
}

/// The values of one bar.
#[derive(Clone, Debug)]
pub struct Point {
    /// `3 Nov`.
    pub label: String,
    /// For `<time datetime>`: `2026-11-03`.
    pub iso: String,
    /// One for each series. Negative values count as 0.
    pub values: [i64; 2],
}

/// Bars of two parts, the first one at the bottom.
#[derive(Clone, Debug)]
pub struct Chart {
    /// `Sessions per day`.
    pub caption: String,
    /// A summary in two sentences, for screen readers.
    pub description: String,
    pub series: [Series; 2],
    /// Header of the table's first column: `Day`.
    pub per: &'static str,
    /// From zero upwards.
    pub ticks: Vec<Tick>,
    /// From left to right.
    pub bars: Vec<Bar>,
    /// Below the bars.
    pub labels: Vec<AxisLabel>,
    /// In pixels.
    pub height: i64,
    /// Its height and layout.
    pub size: ChartSize,
    /// Figures about all bars, by their labels: `Answered`, `55%`.
    pub totals: Vec<(String, String)>,
}

/// A horizontal line of the scale.
#[derive(Clone, Debug)]
pub struct Tick {
    /// In pixels from the top.
    pub y: DecimalText,
    /// A round number.
    pub text: String,
}

/// One bar. Its slot is the wider area that shows the tooltip.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Left edge of the slot, in per cent.
    pub slot: DecimalText,
    /// Width of the slot, in per cent.
    pub slot_width: DecimalText,
    /// Left edge, in per cent.
    pub x: DecimalText,
    /// Width, in per cent.
    pub width: DecimalText,
    /// The parts above zero.
    pub parts: Vec<BarSegment>,
    /// `3 Nov`.
    pub label: String,
    /// For `<time datetime>`.
    pub iso: String,
    /// The formatted values.
    pub values: [String; 2],
}

/// A part of a bar.
#[derive(Clone, Debug)]
pub struct BarSegment {
    /// The CSS class of its colour.
    pub class: &'static str,
    /// Upper edge, in pixels from the top.
    pub y: DecimalText,
    /// In pixels.
    pub height: DecimalText,
}

/// A label below a bar.
#[derive(Clone, Debug)]
pub struct AxisLabel {
    /// In per cent.
    pub x: DecimalText,
    /// The `text-anchor`: `start`, `middle` or `end`. It keeps labels at the edges inside.
    pub anchor: &'static str,
    /// Whether narrow screens hide it.
    pub is_minor: bool,
    pub text: String,
}

/// A number with up to three decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DecimalText(i64);

impl Display for DecimalText {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / UNIT, self.0 % UNIT);
        if rest == 0 {
            return write!(formatter, "{whole}");
        }
        let text = format!("{whole}.{rest:03}");
        formatter.write_str(text.trim_end_matches('0'))
    }
}

impl Chart {
    /// One bar per point.
    #[must_use]
    pub fn bars(caption: impl Into<String>, style: &ChartStyle, points: &[Point]) -> Self {
        let ChartStyle { per, unit, series, size } = *style;
        let scale = Scale::up_to(points.iter().map(sum).max().unwrap_or(0), size);
        let positions = BarPositions { count: i64::try_from(points.len()).unwrap_or(i64::MAX).max(1) };
        Self {
            caption: caption.into(),
            description: description(unit, series, points),
            series,
            per,
            ticks: scale.ticks(),
            bars: (0..)
                .zip(points)
                .map(|(index, point)| bar(&scale, &positions, series, index, point))
                .collect(),
            labels: positions.labels(points),
            height: size.base() + LABEL_HEIGHT,
            size,
            totals: Vec::new(),
        }
    }

    /// The parts that some bar has, for the legend.
    pub fn visible_series(&self) -> impl Iterator<Item = &Series> {
        let is_drawn =
            |class: &str| self.bars.iter().flat_map(|bar| &bar.parts).any(|part| part.class == class);
        self.series.iter().filter(move |series| is_drawn(series.class))
    }

    /// Adds figures about all bars.
    #[must_use]
    pub fn with_totals(self, totals: Vec<(String, String)>) -> Self {
        Self { totals, ..self }
    }

    /// Whether the figures and the legend are beside the bars.
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.size == ChartSize::Low
    }
}

fn values(point: &Point) -> [i128; 2] {
    point.values.map(|value| i128::from(value.max(0)))
}

fn sum(point: &Point) -> i128 {
    values(point).iter().sum()
}

fn bar(scale: &Scale, positions: &BarPositions, series: [Series; 2], index: i64, point: &Point) -> Bar {
    let mut base = scale.size.base() * UNIT;
    let mut parts = Vec::new();
    for (series, value) in series.into_iter().zip(values(point)).filter(|(_, value)| *value > 0) {
        // At least a pixel, so that small values are visible.
        let height = scale.height(value).max(UNIT);
        base -= height;
        parts.push(BarSegment { class: series.class, y: DecimalText(base), height: DecimalText(height) });
    }
    let (slot, end) = (positions.edge(index), positions.edge(index + 1));
    let width = ((end - slot) * 3 / 4).clamp(1, BAR_MAX);
    Bar {
        slot: DecimalText(slot),
        slot_width: DecimalText(end - slot),
        x: DecimalText(slot + (end - slot - width) / 2),
        width: DecimalText(width),
        parts,
        label: point.label.clone(),
        iso: point.iso.clone(),
        values: values(point).map(grouped),
    }
}

/// `From 3 Nov to 23 Nov: 1,204 sessions, 980 answered, 224 not answered. The most were 61 on 12 Nov.`
fn description(unit: &str, series: [Series; 2], points: &[Point]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return format!("No {unit}.");
    };
    let of = |index: usize| grouped(points.iter().map(|point| values(point)[index]).sum::<i128>());
    let total: i128 = points.iter().map(sum).sum();
    let most = points.iter().rev().max_by_key(|point| sum(point)).filter(|point| sum(point) > 0);
    let most = most.map(|point| format!(" Peak: {} at {}.", grouped(sum(point)), point.label));
    format!(
        "From {} to {}: {} {unit}; {}: {}; {}: {}.{}",
        first.label,
        last.label,
        grouped(total),
        series[0].name,
        of(0),
        series[1].name,
        of(1),
        most.unwrap_or_default()
    )
}

struct Scale {
    step: i128,
    top: i128,
    size: ChartSize,
}

impl Scale {
    /// Ticks at 1, 2 or 5 times a power of ten, from zero to at least `most`.
    fn up_to(most: i128, size: ChartSize) -> Self {
        let most = most.max(1);
        let mut decade = 1;
        let step = loop {
            match [1, 2, 5].into_iter().map(|it| it * decade).find(|step| step * size.ticks() >= most) {
                Some(step) => break step,
                None => decade *= 10,
            }
        };
        Self { step, top: (most + step - 1) / step * step, size }
    }

    fn ticks(&self) -> Vec<Tick> {
        let mut ticks = Vec::new();
        let mut number = 0;
        while number <= self.top {
            ticks.push(Tick {
                y: DecimalText(self.size.base() * UNIT - self.height(number)),
                text: compact_number(number),
            });
            number += self.step;
        }
        ticks
    }

    /// In thousandths of a pixel.
    fn height(&self, value: i128) -> i64 {
        let room = i128::from((self.size.base() - TOP) * UNIT);
        i64::try_from(value * room / self.top).unwrap_or(0)
    }
}

/// Horizontal positions of the bars.
struct BarPositions {
    count: i64,
}

impl BarPositions {
    /// Left edge of a slot, in thousandths of a per cent.
    fn edge(&self, index: i64) -> i64 {
        index * WIDTH / self.count
    }

    fn labels(&self, points: &[Point]) -> Vec<AxisLabel> {
        let every = points.len().div_ceil(LABELS).max(1);
        let chosen = points.iter().enumerate().step_by(every).enumerate();
        chosen.map(|(nth, (index, point))| self.label(nth, index, point)).collect()
    }

    fn label(&self, nth: usize, index: usize, point: &Point) -> AxisLabel {
        let index = i64::try_from(index).unwrap_or(0);
        let (begin, end) = (self.edge(index), self.edge(index + 1));
        let middle = i64::midpoint(begin, end);
        let (x, anchor) = match middle {
            ..=5_000 => (begin, "start"),
            95_000.. => (end, "end"),
            _ => (middle, "middle"),
        };
        AxisLabel { x: DecimalText(x), anchor, is_minor: nth % 2 == 1, text: point.label.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: ChartStyle = ChartStyle {
        per: "Day",
        unit: "calls",
        series: [Series { name: "Good", class: "chart-main" }, Series { name: "Bad", class: "chart-bad" }],
        size: ChartSize::High,
    };
    const BASE: i64 = ChartSize::High.base();

    #[derive(askama::Template)]
    #[template(
        source = "{% import \"shared/_chart.html\" as charts %}{% call charts::bars(chart) %}{% endcall %}",
        ext = "html"
    )]
    struct Page {
        chart: Chart,
    }

    fn chart(values: impl IntoIterator<Item = [i64; 2]>) -> Chart {
        let point = |(index, values)| Point { label: format!("day {index}"), iso: String::new(), values };
        let points: Vec<_> = values.into_iter().enumerate().map(point).collect();
        Chart::bars("Calls per day", &STYLE, &points)
    }

    fn texts(chart: &Chart) -> Vec<&str> {
        chart.ticks.iter().map(|tick| tick.text.as_str()).collect()
    }

    #[track_caller]
    fn assert_inside(chart: &Chart) {
        let mut right = 0;
        for bar in &chart.bars {
            assert!(bar.slot.0 >= right && bar.x >= bar.slot && bar.width.0 > 0);
            right = bar.slot.0 + bar.slot_width.0;
            assert!(bar.x.0 + bar.width.0 <= right.max(bar.x.0 + 1));
            let mut base = BASE * UNIT;
            for part in &bar.parts {
                assert_eq!(part.y.0 + part.height.0, base, "parts stand on each other");
                assert!(part.y.0 >= (TOP - 2) * UNIT && part.height.0 >= UNIT);
                base = part.y.0;
            }
        }
        assert!(chart.bars.is_empty() || right == WIDTH);
        assert!(chart.ticks.iter().all(|tick| (TOP * UNIT..=BASE * UNIT).contains(&tick.y.0)));
        assert!(chart.labels.iter().all(|label| (0..=WIDTH).contains(&label.x.0)));
    }

    #[test]
    fn the_legend_has_only_what_is_drawn() {
        let legend = |values| chart(values).visible_series().map(|it| it.name).collect::<Vec<_>>();
        assert_eq!(legend([[1, 0], [0, 2]]), ["Good", "Bad"]);
        assert_eq!(legend([[0, 0], [0, 2]]), ["Bad"]);
    }

    #[test]
    fn bars_stay_in_the_box_whatever_the_numbers() {
        for values in [
            vec![],
            vec![[0, 0]],
            vec![[1, 0]],
            vec![[0, 1], [i64::MAX, i64::MAX]],
            vec![[-5, 3], [7, i64::MIN]],
            (0..744).map(|hour| [hour % 24, hour % 5]).collect(),
            (0..200_000).map(|index| [index, 1]).collect(),
        ] {
            assert_inside(&chart(values));
        }
    }

    #[test]
    fn the_scale_has_round_numbers_and_reaches_the_highest_bar() {
        assert_eq!(texts(&chart([[0, 0]])), ["0", "1"]);
        assert_eq!(texts(&chart([[2, 1]])), ["0", "1", "2", "3"]);
        assert_eq!(texts(&chart([[60, 1], [3, 3]])), ["0", "20", "40", "60", "80"]);
        assert_eq!(texts(&chart([[1_000_000, 0]])), ["0", "500k", "1M"]);
        for most in 1..5000 {
            for size in [ChartSize::High, ChartSize::Low] {
                let scale = Scale::up_to(most, size);
                assert!(scale.top >= most && scale.top - most < scale.step);
                assert!(scale.top / scale.step <= size.ticks());
            }
        }
    }

    #[test]
    fn parts_are_as_high_as_their_numbers() {
        let chart = chart([[30, 10], [0, 0], [0, 1]]);
        let heights: Vec<Vec<i64>> = chart
            .bars
            .iter()
            .map(|bar| bar.parts.iter().map(|part| part.height.0 / UNIT).collect())
            .collect();
        assert_eq!(heights, [vec![97, 32], vec![], vec![3]]);
        assert_eq!(chart.bars[2].parts[0].class, "chart-bad");
    }

    #[test]
    fn labels_are_few_and_those_at_the_edges_stay_inside() {
        let month = chart((0..30).map(|day| [day, 0]));
        let labels: Vec<_> = month.labels.iter().map(|label| (label.text.as_str(), label.anchor)).collect();
        assert_eq!(labels[0], ("day 0", "start"));
        assert!(labels.len() <= LABELS && labels[1..].iter().all(|(_, anchor)| *anchor == "middle"));
        assert_eq!(chart([[1, 1]]).labels[0].anchor, "middle");
    }

    #[test]
    fn the_description_sums_up_the_bars() {
        let description = chart([[1000, 1], [2000, 204], [5, 0]]).description;
        assert_eq!(
            description,
            "From day 0 to day 2: 3,210 calls; Good: 3,005; Bad: 205. Peak: 2,204 at day 1."
        );
        assert_eq!(chart([]).description, "No calls.");
        assert!(!chart([[0, 0]]).description.contains("Peak"));
    }

    #[test]
    fn a_chart_needs_no_style_and_has_a_table() {
        let html = askama::Template::render(&Page { chart: chart([[1000, 1], [0, 0]]) }).unwrap();
        assert!(!html.contains("style") && !html.contains("<script"));
        assert_eq!([html.matches("<rect").count(), html.matches("<td").count()], [4, 4]);
        assert!(html.contains("<title>day 0: Good 1,000, Bad 1</title>"));
    }

    #[test]
    fn decimals_are_short() {
        assert_eq!(
            [0, 1000, 1500, 33_333, 1].map(|it| DecimalText(it).to_string()),
            ["0", "1", "1.5", "33.333", "0.001"]
        );
    }
}
