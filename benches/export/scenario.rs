//! The measured scenarios and the values they should reach.

use super::{PER_PAGE, database::MeasuredClient};

/// Concurrent requests, each for a page drawn at random from the first `pages` pages.
pub(crate) struct Scenario {
    pub(crate) pages: u32,
    pub(crate) per_page: u32,
    pub(crate) connections: u32,
    /// Whether the server has its page cache on, which is the default.
    pub(crate) page_cache: bool,
    /// Minimum of requests per second ÷ pgbench transactions per second.
    pub(crate) min_ratio: f64,
}

impl Scenario {
    /// Scenarios of a server whose page cache is off.
    pub(crate) fn uncached() -> Vec<Self> {
        let [at_16, at_64] = Self::at_16_and_64_connections(1, false, 0.75);
        let large = Self { pages: 1, per_page: 1000, connections: 16, page_cache: false, min_ratio: 0.80 };
        vec![at_16, at_64, large]
    }

    /// Scenarios of a server with its default settings.
    pub(crate) fn cached(measured_client: &MeasuredClient) -> Vec<Self> {
        let pages = measured_client.sessions / PER_PAGE;
        let random_page = Self::at_16_and_64_connections(pages, true, 0.80);
        let same_page = Self::at_16_and_64_connections(1, true, 2.0);
        random_page.into_iter().chain(same_page).collect()
    }

    fn at_16_and_64_connections(pages: u32, page_cache: bool, min_ratio: f64) -> [Self; 2] {
        [16, 64].map(|connections| Self { pages, per_page: PER_PAGE, connections, page_cache, min_ratio })
    }

    pub(crate) fn name(&self) -> String {
        let Self { pages, per_page, connections, page_cache, .. } = self;
        let what = match (pages, page_cache) {
            (1, true) => "page 1, kept".to_owned(),
            (1, false) if *per_page == PER_PAGE => "page 1".to_owned(),
            (1, false) => format!("page 1 of {per_page}"),
            _ => format!("any of {pages} pages"),
        };
        format!("{what}, {connections} connections")
    }

    /// Whether other scenarios are compared with this one: the uncached first page of default size.
    pub(crate) fn is_baseline(&self) -> bool {
        self.pages == 1 && self.per_page == PER_PAGE && !self.page_cache
    }
}

/// A single measured value, such as the server's memory.
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) threshold: Threshold,
}

#[derive(Clone, Copy)]
pub(crate) enum Threshold {
    AtLeast(f64),
    AtMost(f64),
}

impl Threshold {
    /// Returns the threshold as text, with a remark if `value` misses it.
    pub(crate) fn describe(self, value: f64) -> String {
        match self {
            Self::AtLeast(threshold) if value < threshold => format!("at least {threshold}: below the bar"),
            Self::AtLeast(threshold) => format!("at least {threshold}"),
            Self::AtMost(threshold) if value > threshold => format!("at most {threshold}: over the bar"),
            Self::AtMost(threshold) => format!("at most {threshold}"),
        }
    }
}
