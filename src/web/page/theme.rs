//! The colour theme of the pages. Visitors choose it at the foot of the page, and a cookie keeps it.
//!
//! Many handlers and the error pages render the layout, most of them without the request at hand. So the theme of a
//! request is a task-local value, which the layout reads.

use std::fmt::{self, Display, Formatter};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::MessageBody,
    cookie::{Cookie, SameSite, time::Duration},
    dev::{ServiceRequest, ServiceResponse},
    http::header::REFERER,
    middleware::Next,
    web::Data,
};

use super::{PublicSite, see_other};
use crate::{
    error::AppError,
    web::{body::FormFields, local_path::LocalPath, page_paths::PagePaths},
};

/// Maximum size of the form, in bytes.
const FORM_LIMIT: usize = 1024;
/// How long browsers keep the choice.
const COOKIE_DAYS: i64 = 365;

tokio::task_local! {
    static REQUEST_THEME: Theme;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// As the visitor's system is set.
    #[default]
    System,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text)
    }

    /// The value of the cookie and of the form field.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The name of its button.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::System => "System theme",
            Self::Light => "Light theme",
            Self::Dark => "Dark theme",
        }
    }

    /// The id of its icon.
    #[must_use]
    pub fn icon(self) -> &'static str {
        match self {
            Self::System => "monitor",
            Self::Light => "sun",
            Self::Dark => "moon",
        }
    }

    /// The content of `<meta name="color-scheme">`.
    #[must_use]
    pub fn color_scheme(self) -> &'static str {
        match self {
            Self::System => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// The colours of `<meta name="theme-color">`, each with its media query. Phones paint the bar above the page with
    /// it: `--side` in tokens.css.
    #[must_use]
    pub fn bar_colors(self) -> &'static [(&'static str, &'static str)] {
        const LIGHT: &str = "#f6f6f9";
        const DARK: &str = "#0e1014";
        match self {
            Self::System => {
                &[(LIGHT, "(prefers-color-scheme: light)"), (DARK, "(prefers-color-scheme: dark)")]
            }
            Self::Light => &[(LIGHT, "all")],
            Self::Dark => &[(DARK, "all")],
        }
    }

    /// The theme in the cookie of the request.
    fn from_cookie(request: &HttpRequest, is_https: bool) -> Self {
        let cookie = request.cookie(cookie_name(is_https));
        cookie.and_then(|cookie| Self::parse(cookie.value())).unwrap_or_default()
    }

    /// `System` removes the cookie, because that is the theme without one.
    fn to_cookie(self, is_https: bool) -> Cookie<'static> {
        let lifetime = if self == Self::System { Duration::ZERO } else { Duration::days(COOKIE_DAYS) };
        Cookie::build(cookie_name(is_https), self.as_str())
            .path("/")
            .max_age(lifetime)
            .http_only(true)
            .secure(is_https)
            .same_site(SameSite::Lax)
            .finish()
    }
}

impl Display for Theme {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The `__Host-` prefix (RFC 6265bis) keeps subdomains from setting the cookie, and needs https.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-uptok_theme" } else { "uptok_theme" }
}

/// The theme of the current request, for the layout.
#[must_use]
pub fn current() -> Theme {
    REQUEST_THEME.try_with(|theme| *theme).unwrap_or_default()
}

/// Runs `render` with this theme. Error responses are rendered after their request.
pub(crate) fn with_theme<T>(theme: Theme, render: impl FnOnce() -> T) -> T {
    REQUEST_THEME.sync_scope(theme, render)
}

/// Reads the theme of the request, so that its page is rendered with it.
///
/// # Errors
/// Passes errors on.
pub async fn apply_theme(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_https = request.app_data::<Data<PublicSite>>().is_some_and(|site| site.is_https);
    let theme = Theme::from_cookie(request.request(), is_https);
    REQUEST_THEME.scope(theme, next.call(request)).await
}

/// Keeps the theme that the visitor has chosen, and returns to the page where they chose it.
///
/// # Errors
/// [`AppError::Malformed`] for an unknown theme.
pub async fn choose(
    request: HttpRequest,
    fields: FormFields<FORM_LIMIT>,
    site: Data<PublicSite>,
    paths: Data<PagePaths>,
) -> Result<HttpResponse, AppError> {
    let theme = Theme::parse(fields.text("theme"))
        .ok_or_else(|| AppError::Malformed("Choose a theme: system, light or dark.".into()))?;
    let referer = request.headers().get(REFERER).and_then(|value| value.to_str().ok());
    let page = referer.and_then(LocalPath::from_url).map(|path| paths.nearest_page(&path));
    let mut response = see_other(page.as_deref().unwrap_or("/"));
    response
        .add_cookie(&theme.to_cookie(site.is_https))
        .map_err(|error| AppError::broken(error.to_string()))?;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_has_the_colour_of_the_navigation() {
        let tokens = std::fs::read_to_string("static/css/tokens.css").unwrap();
        let [light, dark] = [Theme::Light, Theme::Dark].map(|theme| theme.bar_colors()[0].0);

        assert!(tokens.contains(&format!("--side: light-dark({light}, {dark});")));
        assert_eq!([Theme::System.bar_colors()[0].0, Theme::System.bar_colors()[1].0], [light, dark]);
    }

    #[test]
    fn no_theme_is_the_theme_of_the_system() {
        assert_eq!(current(), Theme::System);
        assert_eq!(with_theme(Theme::Dark, current), Theme::Dark);
        assert_eq!(Theme::System.to_cookie(false).max_age(), Some(Duration::ZERO));
    }
}
