//! Line icons, drawn from one file that browsers keep: `static/img/icons.svg`, from Lucide.

use askama::{Template, filters::HtmlSafe};

/// An icon in a template. It is hidden from assistive technology, so the text beside it must say the same.
#[derive(Debug, Template)]
#[template(path = "shared/icon.html")]
pub struct Icon {
    name: &'static str,
}

/// Its template escapes what it contains.
impl HtmlSafe for Icon {}

/// The icon with this id in `static/img/icons.svg`. `tests/it/house/icons.rs` checks the names in the templates.
#[must_use]
pub fn icon(name: &'static str) -> Icon {
    Icon { name }
}
