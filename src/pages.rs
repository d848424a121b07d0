//! Every page and form of the browser: one table with the address, who may use it, which form it takes, and the
//! handler. Probes and static files are not in it, nor is anything below `/api`.
//!
//! The tests that hold for every route iterate over this table, so a new entry is tested without further work.

use actix_web::{
    Route,
    middleware::from_fn,
    web::{self, ServiceConfig, resource},
};

use crate::{
    accounts::{
        account_delete_pages, account_email_pages, account_pages, own_account_pages, own_sign_in_pages,
        password_reset_pages, require_form_client, require_sign_in, require_sign_in_for_form,
        require_upload_client,
    },
    api_keys::{bulk_delete_pages, key_list_pages, one_key_pages},
    audit::audit_pages,
    guide::guide_pages,
    questions::question_pages,
    sessions::{erasure_pages, import_pages, rejected_lines_download, session_list_pages},
    usage::usage_pages,
    web::page::{see_other, theme},
};
use FormKind::{Empty, OfClient, Plain, UploadOfClient};
use PageAccess::{Admin, Member, Public, SignedOut};

/// Who may use a page. The handler enforces it; the tests check that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAccess {
    /// Everyone.
    Public,
    /// Everyone, but signed-in visitors are redirected to the API keys.
    SignedOut,
    /// Every member of the active client. Everyone else is sent to the login page.
    Member,
    /// Owners and admins of the active client. Members get 403.
    Admin,
}

/// The method of a route and, for a POST, the body that it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageMethod {
    /// Reads no body.
    Get,
    /// Reads a form.
    Post(FormKind),
}

/// The body of a POST. A body larger than the limit of its room gets 413.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormKind {
    /// No fields.
    Empty,
    /// Fields that do not depend on the active client.
    Plain,
    /// Fields that change something of the active client, with the `clientId` that the form was rendered for. Without it
    /// they get 400, with another client than the active one 409. The route checks it before the handler runs.
    OfClient,
    /// Like `OfClient`, but multipart with a file at its end. The `clientId` is checked when the handler reads up to it.
    UploadOfClient,
}

/// One route of the browser.
#[derive(Clone, Copy)]
pub struct PageRoute {
    /// The method and the form.
    pub method: PageMethod,
    /// The pattern of the path: `/sessions/{session_id}`.
    pub path: &'static str,
    /// Who may use it.
    pub access: PageAccess,
    handler: fn(Route) -> Route,
}

const fn get(path: &'static str, access: PageAccess, handler: fn(Route) -> Route) -> PageRoute {
    PageRoute { method: PageMethod::Get, path, access, handler }
}

const fn post(
    path: &'static str,
    access: PageAccess,
    form: FormKind,
    handler: fn(Route) -> Route,
) -> PageRoute {
    PageRoute { method: PageMethod::Post(form), path, access, handler }
}

/// The routes of the browser, by room.
#[rustfmt::skip]
pub const PAGE_ROUTES: [PageRoute; 52] = [
    get("/", Public, |route| route.to(async || see_other("/sessions"))),
    post("/theme", Public, Plain, |route| route.to(theme::choose)),

    // Accounts
    get("/register", SignedOut, |route| route.to(account_pages::show_register)),
    post("/register", SignedOut, Plain, |route| route.to(account_pages::register)),
    get("/login", SignedOut, |route| route.to(account_pages::show_login)),
    post("/login", SignedOut, Plain, |route| route.to(account_pages::login)),
    get("/login/continue", Member, |route| route.to(account_pages::show_lost_form)),
    post("/logout", Member, Empty, |route| route.to(account_pages::logout)),

    // Accounts: forgotten passwords
    get("/password/forgot", Public, |route| route.to(password_reset_pages::show_forgot)),
    post("/password/forgot", Public, Plain, |route| route.to(password_reset_pages::send_link)),
    get("/password/reset/{token}", Public, |route| route.to(password_reset_pages::show_reset)),
    post("/password/reset/{token}", Public, Plain, |route| route.to(password_reset_pages::reset)),

    // Accounts: the user's own account
    get("/account", Member, |route| route.to(own_account_pages::show)),
    post("/account", Member, Plain, |route| route.to(own_account_pages::change)),
    get("/account/delete", Member, |route| route.to(account_delete_pages::show)),
    post("/account/delete", Member, Plain, |route| route.to(account_delete_pages::delete)),
    get("/account/sign-ins", Member, |route| route.to(own_sign_in_pages::index)),
    post("/account/sign-ins/end", Member, Plain, |route| route.to(own_sign_in_pages::end)),
    post("/account/sign-ins/end-others", Member, Empty, |route| route.to(own_sign_in_pages::end_others)),
    get("/email/confirm/{email_token}", Public, |route| route.to(account_email_pages::show)),
    post("/email/confirm/{email_token}", Public, Empty, |route| route.to(account_email_pages::confirm)),

    // Sessions: the list, one session, erasing a shopper
    get("/sessions", Member, |route| route.to(session_list_pages::index)),
    get("/sessions.csv", Member, |route| route.to(session_list_pages::download_csv)),
    get("/sessions.ndjson", Member, |route| route.to(session_list_pages::download_ndjson)),
    get("/sessions/{session_id}", Member, |route| route.to(session_list_pages::show)),
    get("/sessions/erase", Admin, |route| route.to(erasure_pages::show_form)),
    post("/sessions/erase", Admin, OfClient, |route| route.to(erasure_pages::submit)),

    // Sessions: importing a file
    get("/sessions/import", Member, |route| route.to(import_pages::index)),
    post("/sessions/import", Admin, UploadOfClient, |route| route.to(import_pages::create)),
    get("/sessions/imports/{import_id}", Member, |route| route.to(import_pages::show)),
    get("/sessions/imports/{import_id}/bad-lines.csv", Member, |route| route.to(rejected_lines_download::download)),
    post("/sessions/imports/{import_id}/columns", Admin, OfClient, |route| route.to(import_pages::map_columns)),
    post("/sessions/imports/{import_id}/start", Admin, OfClient, |route| route.to(import_pages::start)),
    post("/sessions/imports/{import_id}/discard", Admin, OfClient, |route| route.to(import_pages::discard)),

    // Settings: API keys
    get("/settings", Public, |route| route.to(async || see_other("/settings/api-keys"))),
    get("/settings/api-keys", Member, |route| route.to(key_list_pages::index)),
    post("/settings/api-keys", Admin, OfClient, |route| route.to(key_list_pages::create)),
    get("/settings/api-keys/delete", Admin, |route| route.to(bulk_delete_pages::confirm_delete)),
    post("/settings/api-keys/delete", Admin, OfClient, |route| route.to(bulk_delete_pages::delete)),
    get("/settings/api-keys/{public_key}", Member, |route| route.to(one_key_pages::show)),
    post("/settings/api-keys/{public_key}", Admin, OfClient, |route| route.to(one_key_pages::change)),
    get("/settings/api-keys/{public_key}/delete", Admin, |route| route.to(one_key_pages::confirm_delete)),
    post("/settings/api-keys/{public_key}/delete", Admin, OfClient, |route| route.to(one_key_pages::delete)),
    get("/settings/api-keys/{public_key}/replacement", Admin, |route| route.to(one_key_pages::confirm_replacement)),
    post("/settings/api-keys/{public_key}/replacement", Admin, OfClient, |route| route.to(one_key_pages::replace)),

    // Settings: usage and audit log
    get("/settings/api-keys/{public_key}/usage", Member, |route| route.to(usage_pages::show)),
    get("/settings/usage", Member, |route| route.to(usage_pages::index)),
    get("/settings/audit", Admin, |route| route.to(audit_pages::index)),
    get("/settings/audit.csv", Admin, |route| route.to(audit_pages::download)),

    // The API documentation and the questions of its readers
    get("/docs", Public, |route| route.to(guide_pages::index)),
    get("/questions", Public, |route| route.to(async || see_other("/docs#question"))),
    post("/questions", Public, Plain, |route| route.to(question_pages::create)),
];

/// Registers every route. Fixed paths come before patterns, so that `/sessions/import` is not read as a session.
pub fn register(config: &mut ServiceConfig) {
    let mut paths: Vec<&str> = Vec::new();
    for route in PAGE_ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    paths.sort_by_key(|path| path.contains('{'));
    for path in paths {
        let same_path = PAGE_ROUTES.into_iter().filter(|route| route.path == path);
        config.service(same_path.fold(resource(path), |resource, route| resource.route(route.to_actix())));
    }
}

impl PageRoute {
    fn to_actix(self) -> Route {
        let route = self.without_sign_in_check();
        match (self.access, self.method) {
            (Public | SignedOut, _) => route,
            (Member | Admin, PageMethod::Post(OfClient | Plain)) => {
                route.wrap(from_fn(require_sign_in_for_form))
            }
            (Member | Admin, _) => route.wrap(from_fn(require_sign_in)),
        }
    }

    fn without_sign_in_check(self) -> Route {
        match self.method {
            PageMethod::Get => (self.handler)(web::get()),
            PageMethod::Post(Empty | Plain) => (self.handler)(web::post()),
            PageMethod::Post(OfClient) => (self.handler)(web::post()).wrap(from_fn(require_form_client)),
            PageMethod::Post(UploadOfClient) => {
                (self.handler)(web::post()).wrap(from_fn(require_upload_client))
            }
        }
    }
}
