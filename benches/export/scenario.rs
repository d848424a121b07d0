//! What is measured, and the bar each figure should reach.

use super::{PER_PAGE, database::Filled};

/// A page drawn from the first so many, asked for by so many callers at once.
pub(crate) struct Figure {
    pub(crate) pages: u32,
    pub(crate) per_page: u32,
    pub(crate) connections: u32,
    /// Whether the server keeps pages, as it does unless told otherwise.
    pub(crate) keeps_pages: bool,
    /// Requests per second ÷ transactions of pgbench, at least.
    pub(crate) bar: f64,
}

impl Figure {
    /// Every figure, first those of a server that keeps no pages.
    pub(crate) fn all(filled: &Filled) -> Vec<Self> {
        let each = |pages, keeps_pages, bar| {
            [16, 64].map(|connections| Self { pages, per_page: PER_PAGE, connections, keeps_pages, bar })
        };
        let large = Self { pages: 1, per_page: 1000, connections: 16, keeps_pages: false, bar: 0.80 };
        let mut all = Vec::from(each(1, false, 0.75));
        all.push(large);
        all.extend(each(filled.sessions / PER_PAGE, true, 0.80));
        all.extend(each(1, true, 2.0));
        all
    }

    pub(crate) fn name(&self) -> String {
        let Self { pages, per_page, connections, keeps_pages, .. } = self;
        let what = match (pages, keeps_pages) {
            (1, true) => "page 1, kept".to_owned(),
            (1, false) if *per_page == PER_PAGE => "page 1".to_owned(),
            (1, false) => format!("page 1 of {per_page}"),
            _ => format!("any of {pages} pages"),
        };
        format!("{what}, {connections} connections")
    }

    /// Whether it is the plain first page, which others are compared with.
    pub(crate) fn is_first_page(&self) -> bool {
        self.pages == 1 && self.per_page == PER_PAGE && !self.keeps_pages
    }
}

/// A figure that is no rate of its own, beside its bar.
pub(crate) struct Compared {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) bar: Bar,
}

/// What a figure should reach.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    /// The bar, and whether `value` reaches it.
    pub(crate) fn said_of(self, value: f64) -> String {
        match self {
            Self::AtLeast(bar) if value < bar => format!("at least {bar}: below the bar"),
            Self::AtLeast(bar) => format!("at least {bar}"),
            Self::AtMost(bar) if value > bar => format!("at most {bar}: over the bar"),
            Self::AtMost(bar) => format!("at most {bar}"),
        }
    }
}
