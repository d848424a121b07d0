//! Every page and form of the browser: one table with the address, who may use it, which form it takes, and the
//! handler. Probes and static files are not in it, nor is anything below `/api`.
//!
//! The tests that hold for every route iterate over this table, so a new entry is tested without further work.

use actix_web::{
    Route,
    body::BoxBody,
    dev::ServiceRequest,
    middleware::{Next, from_fn},
    web::{self, Data, ServiceConfig, resource},
};

use crate::{
    accounts::{
        Permission, account_delete_pages, account_email_pages, account_pages, confirmation_pages,
        own_account_pages, own_sign_in_pages, password_reset_pages, require_confirmation,
        require_form_client, require_form_user, require_permission, require_second_factor, require_sign_in,
        require_sign_in_for_form, require_upload_client, second_factor_login_pages, second_factor_pages,
    },
    api_keys::{bulk_delete_pages, key_list_pages, one_key_pages},
    audit::audit_pages,
    clients::{
        client_settings_pages, client_switch_pages, invitation_pages, member_list_pages, new_client_pages,
        one_member_pages,
    },
    guide::guide_pages,
    questions::question_pages,
    sessions::{erasure_pages, import_pages, rejected_lines_download, session_list_pages},
    usage::usage_pages,
    web::{
        form_purposes::FormPurposes,
        page::{see_other, theme},
        page_paths::PagePaths,
    },
};
use FormKind::{Empty, OfClient, Plain, UploadOfClient};
use PageAccess::{Member, Permitted, Public, SignedIn, SignedOut};
use Permission::{EraseShoppers, ImportSessions, ManageClient, ManageKeys, ManageMembers, ReadAuditLog};

/// Who may use a page. The route enforces what the role of a member permits, the handler the rest; the tests check both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAccess {
    /// Everyone.
    Public,
    /// Everyone, but signed-in visitors are redirected to the API keys.
    SignedOut,
    /// Everyone who is signed in, also users without a client. Everyone else is sent to the login page.
    SignedIn,
    /// Every member of the active client. Users without a client are sent to the page for them.
    Member,
    /// Members of the active client whose role permits this. Others get 403.
    Permitted(Permission),
}

impl PageAccess {
    /// What the role of a member must permit. Returns `None` if no client is needed.
    #[must_use]
    pub const fn permission(self) -> Option<Permission> {
        match self {
            Public | SignedOut | SignedIn => None,
            Member => Some(Permission::ReadClient),
            Permitted(permission) => Some(permission),
        }
    }
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
    /// What the form does: a verb and its object, to follow “to”. Every form of a client states it.
    pub purpose: Option<&'static str>,
    /// Whether the form asks for the password or a code again, if the last time was more than an hour ago.
    pub needs_confirmation: bool,
    /// Whether it is about the account of the signed-in user. A field `userId` that names another user gets 409.
    pub is_of_user: bool,
    /// Whether users without a second factor cannot use it while the active client requires one.
    pub needs_second_factor: bool,
    handler: fn(Route) -> Route,
}

const fn get(path: &'static str, access: PageAccess, handler: fn(Route) -> Route) -> PageRoute {
    PageRoute::new(PageMethod::Get, path, access, handler)
}

const fn post(
    path: &'static str,
    access: PageAccess,
    form: FormKind,
    handler: fn(Route) -> Route,
) -> PageRoute {
    PageRoute::new(PageMethod::Post(form), path, access, handler)
}

impl PageRoute {
    const fn new(
        method: PageMethod,
        path: &'static str,
        access: PageAccess,
        handler: fn(Route) -> Route,
    ) -> Self {
        let needs_second_factor = !matches!(access, Public | SignedOut);
        Self {
            method,
            path,
            access,
            purpose: None,
            needs_confirmation: false,
            is_of_user: false,
            needs_second_factor,
            handler,
        }
    }

    const fn purpose(self, purpose: &'static str) -> Self {
        Self { purpose: Some(purpose), ..self }
    }

    const fn confirmed(self) -> Self {
        Self { needs_confirmation: true, ..self }
    }

    const fn of_user(self) -> Self {
        Self { is_of_user: true, ..self }
    }

    const fn before_second_factor(self) -> Self {
        Self { needs_second_factor: false, ..self }
    }
}

/// The routes of the browser, by room.
#[rustfmt::skip]
pub const PAGE_ROUTES: [PageRoute; 79] = [
    get("/", Public, |route| route.to(async || see_other("/sessions"))),
    post("/theme", Public, Plain, |route| route.to(theme::choose)),

    // Accounts
    get("/register", SignedOut, |route| route.to(account_pages::show_register)),
    post("/register", SignedOut, Plain, |route| route.to(account_pages::register)),
    get("/login", SignedOut, |route| route.to(account_pages::show_login)),
    post("/login", SignedOut, Plain, |route| route.to(account_pages::login)),
    get("/login/continue", SignedIn, |route| route.to(account_pages::show_interrupted_form)),
    get("/login/second-factor", SignedOut, |route| route.to(second_factor_login_pages::show)),
    post("/login/second-factor", SignedOut, Plain, |route| route.to(second_factor_login_pages::submit)),
    get("/confirm", SignedIn, |route| route.to(confirmation_pages::show)).before_second_factor(),
    post("/confirm", SignedIn, Plain, |route| route.to(confirmation_pages::confirm)).before_second_factor(),
    post("/logout", SignedIn, Empty, |route| route.to(account_pages::logout)).before_second_factor(),

    // Accounts: forgotten passwords
    get("/password/forgot", Public, |route| route.to(password_reset_pages::show_forgot)),
    post("/password/forgot", Public, Plain, |route| route.to(password_reset_pages::send_link)),
    get("/password/reset/{token}", Public, |route| route.to(password_reset_pages::show_reset)),
    post("/password/reset/{token}", Public, Plain, |route| route.to(password_reset_pages::reset)),

    // Accounts: the user's own account
    get("/account", SignedIn, |route| route.to(own_account_pages::show)),
    post("/account", SignedIn, Plain, |route| route.to(own_account_pages::change)).of_user(),
    get("/account/delete", SignedIn, |route| route.to(account_delete_pages::show)),
    post("/account/delete", SignedIn, Plain, |route| route.to(account_delete_pages::delete)).of_user(),
    get("/account/sign-ins", SignedIn, |route| route.to(own_sign_in_pages::index)),
    post("/account/sign-ins/end", SignedIn, Plain, |route| route.to(own_sign_in_pages::end)),
    post("/account/sign-ins/end-others", SignedIn, Empty, |route| route.to(own_sign_in_pages::end_others)).of_user(),
    get("/account/second-factor", SignedIn, |route| route.to(second_factor_pages::show)).before_second_factor(),
    post("/account/second-factor/set-up", SignedIn, Empty, |route| route.to(second_factor_pages::set_up)).of_user().purpose("set up a second factor").confirmed().before_second_factor(),
    post("/account/second-factor/turn-on", SignedIn, Plain, |route| route.to(second_factor_pages::turn_on)).of_user().purpose("turn on the second factor").confirmed().before_second_factor(),
    post("/account/second-factor/recovery-codes", SignedIn, Empty, |route| route.to(second_factor_pages::create_recovery_codes)).of_user().purpose("create new recovery codes").confirmed().before_second_factor(),
    post("/account/second-factor/turn-off", SignedIn, Empty, |route| route.to(second_factor_pages::turn_off)).of_user().purpose("turn off the second factor").confirmed().before_second_factor(),
    get("/email/confirm/{email_token}", Public, |route| route.to(account_email_pages::show)),
    post("/email/confirm/{email_token}", Public, Empty, |route| route.to(account_email_pages::confirm)),

    // Clients and invitations
    post("/clients/active", SignedIn, Plain, |route| route.to(client_switch_pages::switch)).before_second_factor(),
    get("/clients/new", SignedIn, |route| route.to(new_client_pages::show_form)),
    post("/clients/new", SignedIn, Plain, |route| route.to(new_client_pages::create)),
    get("/invitations/{invitation_token}", Public, |route| route.to(invitation_pages::show)),
    post("/invitations/{invitation_token}", Public, Plain, |route| route.to(invitation_pages::accept)),

    // Sessions: the list, one session, erasing a shopper
    get("/sessions", Member, |route| route.to(session_list_pages::index)),
    get("/sessions.csv", Member, |route| route.to(session_list_pages::download_csv)),
    get("/sessions.ndjson", Member, |route| route.to(session_list_pages::download_ndjson)),
    get("/sessions/{session_id}", Member, |route| route.to(session_list_pages::show)),
    get("/sessions/erase", Permitted(EraseShoppers), |route| route.to(erasure_pages::show_form)),
    post("/sessions/erase", Permitted(EraseShoppers), OfClient, |route| route.to(erasure_pages::submit)).purpose("erase a shopper"),

    // Sessions: importing a file
    get("/sessions/import", Member, |route| route.to(import_pages::index)),
    post("/sessions/import", Permitted(ImportSessions), UploadOfClient, |route| route.to(import_pages::create)).purpose("import a file"),
    get("/sessions/imports/{import_id}", Member, |route| route.to(import_pages::show)),
    get("/sessions/imports/{import_id}/bad-lines.csv", Member, |route| route.to(rejected_lines_download::download)),
    post("/sessions/imports/{import_id}/columns", Permitted(ImportSessions), OfClient, |route| route.to(import_pages::map_columns)).purpose("check a file"),
    post("/sessions/imports/{import_id}/start", Permitted(ImportSessions), OfClient, |route| route.to(import_pages::start)).purpose("import a file"),
    post("/sessions/imports/{import_id}/discard", Permitted(ImportSessions), OfClient, |route| route.to(import_pages::discard)).purpose("discard a file"),

    // Settings: API keys
    get("/settings", Public, |route| route.to(async || see_other("/settings/api-keys"))),
    get("/settings/api-keys", Member, |route| route.to(key_list_pages::index)),
    post("/settings/api-keys", Permitted(ManageKeys), OfClient, |route| route.to(key_list_pages::create)).purpose("generate an API key").confirmed(),
    get("/settings/api-keys/delete", Permitted(ManageKeys), |route| route.to(bulk_delete_pages::confirm_delete)),
    post("/settings/api-keys/delete", Permitted(ManageKeys), OfClient, |route| route.to(bulk_delete_pages::delete)).purpose("delete API keys").confirmed(),
    get("/settings/api-keys/{public_key}", Member, |route| route.to(one_key_pages::show)),
    post("/settings/api-keys/{public_key}", Permitted(ManageKeys), OfClient, |route| route.to(one_key_pages::change)).purpose("save the settings of the API key"),
    get("/settings/api-keys/{public_key}/delete", Permitted(ManageKeys), |route| route.to(one_key_pages::confirm_delete)),
    post("/settings/api-keys/{public_key}/delete", Permitted(ManageKeys), OfClient, |route| route.to(one_key_pages::delete)).purpose("delete the API key").confirmed(),
    get("/settings/api-keys/{public_key}/replacement", Permitted(ManageKeys), |route| route.to(one_key_pages::confirm_replacement)),
    post("/settings/api-keys/{public_key}/replacement", Permitted(ManageKeys), OfClient, |route| route.to(one_key_pages::replace)).purpose("replace the API key").confirmed(),

    // Settings: client and members
    get("/settings/client", Permitted(ManageClient), |route| route.to(client_settings_pages::show_form)),
    post("/settings/client", Permitted(ManageClient), OfClient, |route| route.to(client_settings_pages::save)).purpose("save the settings of the client").confirmed(),
    get("/settings/members", Member, |route| route.to(member_list_pages::index)),
    post("/settings/members", Permitted(ManageMembers), OfClient, |route| route.to(member_list_pages::invite)).purpose("invite a member").confirmed(),
    post("/settings/members/invitations/{invitation_id}/resend", Permitted(ManageMembers), OfClient, |route| route.to(member_list_pages::resend)).purpose("resend the invitation").confirmed(),
    post("/settings/members/invitations/{invitation_id}/withdraw", Permitted(ManageMembers), OfClient, |route| route.to(member_list_pages::withdraw)).purpose("withdraw the invitation").confirmed(),
    get("/settings/members/leave", Member, |route| route.to(one_member_pages::confirm_leave)),
    post("/settings/members/leave", Member, OfClient, |route| route.to(one_member_pages::leave)).purpose("leave the client").confirmed(),
    get("/settings/members/{user_id}/role", Permitted(ManageMembers), |route| route.to(one_member_pages::show_role)),
    post("/settings/members/{user_id}/role", Permitted(ManageMembers), OfClient, |route| route.to(one_member_pages::change_role)).purpose("change the role of a member").confirmed(),
    get("/settings/members/{user_id}/remove", Permitted(ManageMembers), |route| route.to(one_member_pages::confirm_remove)),
    post("/settings/members/{user_id}/remove", Permitted(ManageMembers), OfClient, |route| route.to(one_member_pages::remove)).purpose("remove a member").confirmed(),
    get("/settings/members/{user_id}/keys", Permitted(ManageKeys), |route| route.to(one_member_pages::show_keys)),

    // Settings: usage and audit log
    get("/settings/api-keys/{public_key}/usage", Member, |route| route.to(usage_pages::show)),
    get("/settings/usage", Member, |route| route.to(usage_pages::index)),
    get("/settings/audit", Permitted(ReadAuditLog), |route| route.to(audit_pages::index)),
    get("/settings/audit.csv", Permitted(ReadAuditLog), |route| route.to(audit_pages::download)),

    // The API documentation and the questions of its readers
    get("/docs", Public, |route| route.to(guide_pages::index)),
    get("/questions", Public, |route| route.to(async || see_other("/docs#question"))),
    post("/questions", Public, Plain, |route| route.to(question_pages::create)),
];

/// Registers every route.
pub fn register(config: &mut ServiceConfig) {
    let paths = ordered_paths();
    let purposes =
        paths.iter().flat_map(|path| routes_of(path)).filter_map(|route| Some((route.path, route.purpose?)));
    config.app_data(Data::new(FormPurposes::new(purposes)));
    for path in paths {
        config.service(
            routes_of(path).fold(resource(path), |resource, route| resource.route(route.to_actix())),
        );
    }
}

/// Every path, with whether it answers GET.
pub(crate) fn page_paths() -> PagePaths {
    let answers_get = |path: &str| routes_of(path).any(|route| route.method == PageMethod::Get);
    PagePaths::new(ordered_paths().into_iter().map(|path| (path, answers_get(path))))
}

/// Every path once. Fixed paths come before patterns, so that `/sessions/import` is not read as a session.
fn ordered_paths() -> Vec<&'static str> {
    let mut paths: Vec<&str> = Vec::new();
    for route in PAGE_ROUTES {
        if !paths.contains(&route.path) {
            paths.push(route.path);
        }
    }
    paths.sort_by_key(|path| path.contains('{'));
    paths
}

fn routes_of(path: &str) -> impl Iterator<Item = PageRoute> {
    PAGE_ROUTES.into_iter().filter(move |route| route.path == path)
}

impl PageRoute {
    /// A visitor without a sign-in is sent to the login page first. The check of the client comes before those of the
    /// second factor and the permission, because a form may switch the client.
    fn to_actix(self) -> Route {
        let method = if self.method == PageMethod::Get { web::get() } else { web::post() };
        let mut route = (self.handler)(method);
        // Innermost, so that only a form that would be accepted asks.
        if self.needs_confirmation {
            route = route.wrap(from_fn(require_confirmation));
        }
        if self.is_of_user {
            route = route.wrap(from_fn(require_form_user));
        }
        if let Some(permission) = self.access.permission() {
            let check = move |request: ServiceRequest, next: Next<BoxBody>| {
                require_permission(permission, request, next)
            };
            route = route.wrap(from_fn(check));
        }
        if self.needs_second_factor {
            route = route.wrap(from_fn(require_second_factor));
        }
        let route = match self.method {
            PageMethod::Get | PageMethod::Post(Empty | Plain) => route,
            PageMethod::Post(OfClient) => route.wrap(from_fn(require_form_client)),
            PageMethod::Post(UploadOfClient) => route.wrap(from_fn(require_upload_client)),
        };
        match (self.access, self.method) {
            (Public | SignedOut, _) => route,
            (_, PageMethod::Post(OfClient | Plain)) => route.wrap(from_fn(require_sign_in_for_form)),
            _ => route.wrap(from_fn(require_sign_in)),
        }
    }
}
