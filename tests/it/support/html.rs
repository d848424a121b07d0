//! Finds things in a page as a person does: a cell by its row and its heading, a message by its role.

use scraper::{ElementRef, Html as Document, Selector};

pub(crate) struct Html(Document);

impl Html {
    pub(crate) fn parse(text: &str) -> Self {
        Self(Document::parse_document(text))
    }

    /// The text of the only element that `selector` finds.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let texts = self.texts(selector);
        assert_eq!(texts.len(), 1, "{selector} finds {texts:?} in {}", self.0.html());
        texts.into_iter().next().unwrap()
    }

    /// The texts of all elements that `selector` finds.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        self.0.select(&Selector::parse(selector).unwrap()).map(text_of).collect()
    }

    /// The attribute of the first element that `selector` finds.
    #[track_caller]
    pub(crate) fn attribute(&self, selector: &str, name: &str) -> String {
        let element = self.0.select(&Selector::parse(selector).unwrap()).next();
        element.and_then(|it| it.attr(name)).unwrap_or_else(|| panic!("no {name} of {selector}")).to_owned()
    }

    /// The cell under `column` in the row whose heading is `row`.
    #[track_caller]
    pub(crate) fn cell(&self, row: &str, column: &str) -> String {
        let columns = self.texts("thead th");
        let place = columns
            .iter()
            .position(|it| it == column)
            .unwrap_or_else(|| panic!("no {column} in {columns:?}"));
        let rows = Selector::parse("tbody tr").unwrap();
        let cells = Selector::parse("th, td").unwrap();
        let found = self.0.select(&rows).map(|it| it.select(&cells).map(text_of).collect::<Vec<_>>());
        let found: Vec<_> = found.filter(|cells| cells.first().is_some_and(|first| first == row)).collect();
        assert_eq!(found.len(), 1, "rows named {row}: {found:?}");
        found[0][place].clone()
    }
}

/// The text as it is read: white space folded, nothing of what only runs without scripts.
fn text_of(element: ElementRef<'_>) -> String {
    let words = element
        .descendants()
        .filter(|node| {
            !node.ancestors().any(|it| it.value().as_element().is_some_and(|it| it.name() == "noscript"))
        })
        .filter_map(|node| node.value().as_text().map(|text| text.to_string()));
    words.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
