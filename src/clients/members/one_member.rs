//! Settings → Members → one member: changing the role, removing, leaving, and the keys that a member leaves behind.

use actix_session::Session;
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{Data, Path},
};
use askama::Template;
use uuid::Uuid;

use super::{
    list_pages::{FORM_LIMIT, INDEX, list_roles, parse_id},
    store::{self, Member},
};
use crate::{
    accounts::{self, MaybeSignedIn, MembershipError, Permission, Role, SignedIn, flash},
    api_keys::{self, ApiKey, KeyListQuery, KeySort, KeyStatus},
    db::Db,
    error::AppError,
    ids::ClientId,
    usage::{self, LastUse},
    web::{
        body::{FormFields, form::FormState},
        format::time::{DisplayTime, RelativeTime},
        page::{NavSection, PageLayout, respond, see_other},
    },
};

/// Maximum number of keys that a page lists, which is also how many can be deleted at once.
const KEYS_MAX: u16 = 100;

#[derive(Template)]
#[template(path = "clients/members/role.html")]
struct ChangeRolePage {
    layout: PageLayout,
    client_id: String,
    member: Member,
    roles: Vec<Role>,
    form: FormState,
}

#[derive(Template)]
#[template(path = "clients/members/remove.html")]
struct RemoveMemberPage {
    layout: PageLayout,
    client_id: String,
    client_name: String,
    member: Member,
    keys: ActiveKeys,
    is_self: bool,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "clients/members/keys.html")]
struct MemberKeysPage {
    layout: PageLayout,
    name: String,
    is_member: bool,
    keys: ActiveKeys,
}

/// The active keys of the client that a user created, the oldest first.
struct ActiveKeys {
    rows: Vec<ActiveKeyRow>,
    has_more: bool,
}

struct ActiveKeyRow {
    public_key: String,
    name: String,
    created: DisplayTime,
    /// `None` if no use is known.
    last_used: Option<RelativeTime>,
}

impl ActiveKeys {
    fn load(
        connection: &mut diesel::PgConnection,
        client: &ClientId,
        user_id: Uuid,
    ) -> Result<Self, diesel::result::Error> {
        let mut query = KeyListQuery {
            created_by: Some(user_id),
            sort: KeySort::Oldest,
            per_page: KEYS_MAX.into(),
            page: 1,
            ..KeyListQuery::default()
        };
        let mut active = Vec::new();
        // Expired keys are in the list too, and may fill whole pages of it.
        loop {
            let page = api_keys::list(connection, client, &query)?;
            active.extend(page.keys.into_iter().filter(|key| key.status() != KeyStatus::Expired));
            if page.total <= i64::from(query.page) * i64::from(KEYS_MAX)
                || active.len() > usize::from(KEYS_MAX)
            {
                break;
            }
            query.page += 1;
        }
        let has_more = active.len() > usize::from(KEYS_MAX);
        active.truncate(KEYS_MAX.into());
        let shown: Vec<_> = active.iter().map(|key| key.public_key.clone()).collect();
        let uses = usage::load_last_uses(connection, client, &shown)?;
        let row = |key: &ApiKey| ActiveKeyRow::new(key, uses.get(&key.public_key));
        Ok(Self { rows: active.iter().map(row).collect(), has_more })
    }
}

impl ActiveKeyRow {
    fn new(key: &ApiKey, last_use: Option<&LastUse>) -> Self {
        Self {
            public_key: key.public_key.to_string(),
            name: key.name.to_string(),
            created: key.created_at.into(),
            last_used: last_use.map(|last| RelativeTime::new(last.at, key.as_of)),
        }
    }
}

pub(crate) async fn show_role(
    visitor: MaybeSignedIn,
    path: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let member = find_manageable_member(&signed_in, &path, &db).await?;
    let form = FormState::default().keep("role", member.role.as_str());
    show_role_form(StatusCode::OK, visitor, member, form)
}

fn show_role_form(
    status: StatusCode,
    visitor: MaybeSignedIn,
    member: Member,
    form: FormState,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Change role", NavSection::Members)?;
    let client_id = signed_in.client().to_string();
    respond(status, &ChangeRolePage { layout, client_id, member, roles: list_roles(&signed_in), form })
}

pub(crate) async fn change_role(
    visitor: MaybeSignedIn,
    session: Session,
    path: Path<String>,
    fields: FormFields<FORM_LIMIT>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let member = find_member(&signed_in, &path, &db).await?;
    let mut form = FormState::default().keep("role", fields.text("role"));
    let Some(role) = form.check("role", fields.text("role").parse::<Role>()) else {
        return show_role_form(StatusCode::UNPROCESSABLE_ENTITY, visitor, member, form);
    };
    let (client, context, user_id) = (signed_in.client(), signed_in.audit_context(), member.user_id);
    let changed = db.run(move |connection| {
        Ok::<_, AppError>(accounts::change_role(connection, &context, &client, user_id, role))
    });
    match changed.await? {
        Ok(_before) => {
            flash(&session, format!("{} now has the role {}.", member.name, role.label()))?;
            Ok(see_other(INDEX))
        }
        Err(error @ MembershipError::OnlyOwner) => {
            let form = form.refuse("role", error.to_string());
            show_role_form(StatusCode::UNPROCESSABLE_ENTITY, visitor, member, form)
        }
        Err(error) => Err(refusal(error)),
    }
}

pub(crate) async fn confirm_remove(
    visitor: MaybeSignedIn,
    path: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let member = find_manageable_member(&signed_in, &path, &db).await?;
    show_confirmation(StatusCode::OK, visitor, &db, member, None).await
}

pub(crate) async fn confirm_leave(visitor: MaybeSignedIn, db: Data<Db>) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let member = find_member(&signed_in, &signed_in.user_id.to_string(), &db).await?;
    show_confirmation(StatusCode::OK, visitor, &db, member, None).await
}

async fn show_confirmation(
    status: StatusCode,
    visitor: MaybeSignedIn,
    db: &Db,
    member: Member,
    error: Option<String>,
) -> Result<HttpResponse, AppError> {
    let is_self = visitor.signed_in.as_ref().is_some_and(|it| it.user_id == member.user_id);
    let title = if is_self { "Leave client" } else { "Remove member" };
    let (signed_in, layout) = visitor.required(title, NavSection::Members)?;
    let (client, user_id) = (signed_in.client(), member.user_id);
    let keys = db.run(move |connection| ActiveKeys::load(connection, &client, user_id)).await?;
    let page = RemoveMemberPage {
        layout,
        client_id: signed_in.client().to_string(),
        client_name: signed_in.client_name().to_owned(),
        member,
        keys,
        is_self,
        error,
    };
    respond(status, &page)
}

pub(crate) async fn remove(
    visitor: MaybeSignedIn,
    session: Session,
    path: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let user_id = parse_id(&path)?;
    remove_user(visitor, &session, user_id, &db).await
}

pub(crate) async fn leave(
    visitor: MaybeSignedIn,
    session: Session,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let user_id = visitor.signed_in.as_ref().ok_or(AppError::SignedOut)?.user_id;
    remove_user(visitor, &session, user_id, &db).await
}

async fn remove_user(
    visitor: MaybeSignedIn,
    session: &Session,
    user_id: Uuid,
    db: &Db,
) -> Result<HttpResponse, AppError> {
    let signed_in = visitor.signed_in.clone().ok_or(AppError::SignedOut)?;
    let member = find_member(&signed_in, &user_id.to_string(), db).await?;
    let (client, context) = (signed_in.client(), signed_in.audit_context());
    let removed = db.run(move |connection| {
        let outcome = accounts::end_membership(connection, &context, &client, user_id);
        let keys = ActiveKeys::load(connection, &client, user_id)?;
        Ok::<_, AppError>(outcome.map(|()| !keys.rows.is_empty()))
    });
    match removed.await? {
        Ok(leaves_keys) => {
            let (message, address) = removal_outcome(&signed_in, &member, leaves_keys);
            flash(session, message)?;
            Ok(see_other(&address))
        }
        Err(error @ MembershipError::OnlyOwner) => {
            show_confirmation(StatusCode::CONFLICT, visitor, db, member, Some(error.to_string())).await
        }
        Err(error) => Err(refusal(error)),
    }
}

/// The message, and the page to go to: that of the keys which the member leaves behind, if there are any.
fn removal_outcome(signed_in: &SignedIn, member: &Member, leaves_keys: bool) -> (String, String) {
    if member.user_id == signed_in.user_id {
        return (format!("You have left {}.", signed_in.client_name()), "/sessions".to_owned());
    }
    let message = format!("{} is no longer a member.", member.name);
    let address = if leaves_keys { format!("{INDEX}/{}/keys", member.user_id) } else { INDEX.to_owned() };
    (message, address)
}

/// The active keys that a user created, who may have been removed.
pub(crate) async fn show_keys(
    visitor: MaybeSignedIn,
    path: Path<String>,
    db: Data<Db>,
) -> Result<HttpResponse, AppError> {
    let (signed_in, layout) = visitor.required("Keys created by a member", NavSection::Members)?;
    let (client, user_id) = (signed_in.client(), parse_id(&path)?);
    let (name, is_member, keys) = db
        .run(move |connection| {
            let member = store::find(connection, &client, user_id).ok();
            let is_member = member.is_some();
            let name = match member {
                Some(member) => member.name,
                None => store::find_key_creator(connection, &client, user_id)?,
            };
            Ok::<_, AppError>((name, is_member, ActiveKeys::load(connection, &client, user_id)?))
        })
        .await?;
    respond(StatusCode::OK, &MemberKeysPage { layout, name, is_member, keys })
}

async fn find_member(signed_in: &SignedIn, user_id: &str, db: &Db) -> Result<Member, AppError> {
    let (client, user_id) = (signed_in.client(), parse_id(user_id)?);
    db.run(move |connection| store::find(connection, &client, user_id)).await
}

/// The member, if the user's role permits to change or remove one with this role.
async fn find_manageable_member(signed_in: &SignedIn, user_id: &str, db: &Db) -> Result<Member, AppError> {
    let member = find_member(signed_in, user_id, db).await?;
    signed_in.require(Permission::to_manage(member.role))?;
    Ok(member)
}

fn refusal(error: MembershipError) -> AppError {
    match error {
        MembershipError::NotMember => AppError::NotFound,
        MembershipError::OnlyOwner => AppError::Conflict(error.to_string().into()),
        MembershipError::NotPermitted(permission) => AppError::Forbidden(permission.refusal()),
        MembershipError::Database(error) => error.into(),
    }
}
