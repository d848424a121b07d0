//! Finds content in a page as a reader does: a cell by its row and column heading, a message by its role.

use scraper::{ElementRef, Html as Document, Selector};

pub(crate) struct Html(Document);

impl Html {
    pub(crate) fn parse(text: &str) -> Self {
        Self(Document::parse_document(text))
    }

    /// Returns the text of the only element that matches `selector`.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let texts = self.texts(selector);
        assert_eq!(texts.len(), 1, "{selector} finds {texts:?} in {}", self.0.html());
        texts.into_iter().next().unwrap()
    }

    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.0.select(&Selector::parse(selector).unwrap()).map(read_text).collect()
    }

    /// Returns an attribute of the first element that matches `selector`.
    #[track_caller]
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> String {
        let element = self.0.select(&Selector::parse(selector).unwrap()).next();
        element.and_then(|it| it.attr(name)).unwrap_or_else(|| panic!("no {name} of {selector}")).to_owned()
    }

    /// Returns an attribute of every element that matches `selector`.
    pub(crate) fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let selector = Selector::parse(selector).unwrap();
        let elements = self.0.select(&selector);
        elements.map(|it| it.attr(name).unwrap_or_default().to_owned()).collect()
    }

    /// Returns the cell under `column` in the row whose first cell is `row`.
    #[track_caller]
    pub(crate) fn cell(&self, row: &str, column: &str) -> String {
        let columns = self.texts("thead th");
        let index = columns
            .iter()
            .position(|it| it == column)
            .unwrap_or_else(|| panic!("no {column} in {columns:?}"));
        let rows = Selector::parse("tbody tr").unwrap();
        let cells = Selector::parse("th, td").unwrap();
        let found = self.0.select(&rows).map(|it| it.select(&cells).map(read_text).collect::<Vec<_>>());
        let found: Vec<_> = found.filter(|cells| cells.first().is_some_and(|first| first == row)).collect();
        assert_eq!(found.len(), 1, "rows named {row}: {found:?}");
        found[0][index].clone()
    }
}

/// Returns the text with white space folded and without the contents of `noscript`.
fn read_text(element: ElementRef<'_>) -> String {
    let words = element
        .descendants()
        .filter(|node| {
            !node.ancestors().any(|it| it.value().as_element().is_some_and(|it| it.name() == "noscript"))
        })
        .filter_map(|node| node.value().as_text().map(|text| text.to_string()));
    words.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
