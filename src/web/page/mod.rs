//! The layout of pages, and responses that show or redirect to one.

pub mod chart;
pub mod date_range;
pub mod icon;
pub mod list;
pub mod message;
pub mod sparkline;
pub mod theme;

use std::any::Any;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::LOCATION},
};
use askama::Template;

use crate::error::AppError;
use message::Message;

/// The public address of this installation.
#[derive(Clone, Debug)]
pub struct PublicSite {
    /// The public origin: `https://keys.example.org`.
    pub origin: String,
    /// Whether cookies are `Secure`, which needs https.
    pub is_https: bool,
}

/// The current entry of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NavSection {
    /// Sessions.
    Sessions,
    /// Settings → API Keys.
    ApiKeys,
    /// Settings → Audit log.
    AuditLog,
    /// Settings → Usage.
    Usage,
    /// Settings → Members.
    Members,
    /// Settings → Client.
    Client,
    /// The user's own account.
    Account,
    /// API Documentation.
    Documentation,
    /// None of them.
    None,
}

impl NavSection {
    /// The page to show after switching to another client: this section, unless the role there may not permit it.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::ApiKeys => "/settings/api-keys",
            Self::Usage => "/settings/usage",
            Self::Members => "/settings/members",
            Self::Documentation => "/docs",
            Self::Account => "/account",
            Self::Sessions | Self::AuditLog | Self::Client | Self::None => "/sessions",
        }
    }

    /// The section that a page or form with this path belongs to.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        let sections = [Self::Sessions, Self::ApiKeys, Self::Usage, Self::Members, Self::Account];
        sections.into_iter().find(|section| path.starts_with(section.path())).unwrap_or(Self::None)
    }
}

/// A client that the user can switch to.
#[derive(Clone, Debug)]
pub struct ClientOption {
    /// Its Client ID.
    pub client_id: String,
    /// Its name, which other clients may have too.
    pub name: String,
}

/// The signed-in user, as the layout shows it.
#[derive(Clone, Debug)]
pub struct LayoutUser {
    /// The user's id, which forms about the account carry.
    pub user_id: String,
    /// The user's name.
    pub name: String,
    /// The user's email.
    pub email: String,
    /// The active client's name; empty if the user is not a member of any client.
    pub client_name: String,
    /// The active client's Client ID; empty if the user is not a member of any client.
    pub client_id: String,
    /// Whether to offer what owners and admins do.
    pub may_manage: bool,
    /// Whether to offer the settings of the client.
    pub may_manage_client: bool,
    /// Whether to offer to create a client.
    pub may_create_clients: bool,
    /// The user's other clients, by name.
    pub other_clients: Vec<ClientOption>,
}

/// What the layout around a page shows.
#[derive(Clone, Debug)]
pub struct PageLayout {
    /// The heading and, with the product's name, the title.
    pub title: &'static str,
    /// The current entry of the navigation.
    pub section: NavSection,
    /// `None` if nobody is signed in.
    pub visitor: Option<LayoutUser>,
    /// A message that the previous page left, shown once.
    pub flash: Option<Message>,
}

impl PageLayout {
    /// The layout for a visitor who is not signed in.
    #[must_use]
    pub fn signed_out(title: &'static str, section: NavSection) -> Self {
        Self { title, section, visitor: None, flash: None }
    }

    /// Whether to offer what owners and admins do.
    #[must_use]
    pub fn may_manage(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.may_manage)
    }

    /// The id of the signed-in user; empty if nobody is.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.visitor.as_ref().map_or("", |visitor| &visitor.user_id)
    }

    /// Whether the previous page left an error, for the title.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.flash.as_ref().is_some_and(Message::is_error)
    }

    /// Whether a user with an active client is signed in.
    #[must_use]
    pub fn has_client(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| !visitor.client_id.is_empty())
    }

    /// Whether to offer the settings of the client.
    #[must_use]
    pub fn may_manage_client(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.may_manage_client)
    }

    /// Whether `section` is the current one, for `aria-current`.
    #[must_use]
    pub fn is_current(&self, section: NavSection) -> bool {
        self.section == section
    }
}

/// Renders the page. If the status is an error, the title says so, because screen readers read it first.
///
/// # Errors
/// [`AppError::Broken`] if rendering fails.
pub fn respond(status: StatusCode, page: &impl Template) -> Result<HttpResponse, AppError> {
    let is_refused: &dyn Any = &(status.is_client_error() || status.is_server_error());
    // A runtime value, so that no page can forget it: `templates/layouts/page.html` reads it.
    let html = page.render_with_values(&("is_refused", is_refused)).map_err(AppError::broken)?;
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html))
}

/// 303 to `address`, which the browser then requests with GET.
#[must_use]
pub fn see_other(address: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, address)).finish()
}
