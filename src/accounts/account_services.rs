//! What registration, login, invitations and confirmations share.

use std::net::IpAddr;

use actix_session::Session;
use actix_web::{HttpRequest, HttpResponse, web::Data};
use uuid::Uuid;

use super::{
    email::EmailAddress,
    links::link_token::LinkToken,
    password::{NewPassword, PasswordHasher},
    second_factor::{pending_cookie::ask_for_code, service::SecondFactors},
    sign_in::{
        extractor::{SignInOrigin, SignedInUser, sign_in},
        table,
    },
    store::{self, LoginCandidate},
};
use crate::{
    accounts::login::{
        after_login::LoginReturn,
        device_cookie::{self, DeviceCookieKey},
        invitation_acceptor::InvitationAcceptor,
        login_throttles::{DeviceAttempt, LoginThrottles},
    },
    audit::{self, AccountEvent, AccountEventKind, Actor, AuditContext},
    config::Settings,
    db::Db,
    error::AppError,
    mail::Outbox,
    web::{
        app_data::app_data,
        connection::client_address::{client_address, rate_limit_address},
        format::time,
        page::see_other,
    },
};

/// A login whose password was right, and whose code if the user has a second factor.
pub(super) struct VerifiedLogin {
    pub(super) user: LoginCandidate,
    pub(super) email: EmailAddress,
    pub(super) login_return: LoginReturn,
}

/// What a signed-in user enters again, to show that it is still the same person.
pub(super) enum Confirmation<'a> {
    Password(&'a str),
    /// Of the authenticator app, or a recovery code.
    Code(&'a str),
}

/// Extractor of what registration, login and invitations share.
pub(crate) struct AccountServices {
    pub(crate) db: Data<Db>,
    pub(super) passwords: Data<PasswordHasher>,
    pub(super) throttles: Data<LoginThrottles>,
    device_cookie_key: Data<DeviceCookieKey>,
    pub(super) settings: Data<Settings>,
    pub(super) outbox: Data<Outbox>,
    pub(super) second_factors: Data<SecondFactors>,
    pub(super) invitation_acceptor: Data<InvitationAcceptor>,
}

impl AccountServices {
    pub(super) fn client_address(&self, request: &HttpRequest) -> IpAddr {
        rate_limit_address(client_address(request, &self.settings.trusted_proxies))
    }

    pub(super) fn is_https(&self) -> bool {
        self.settings.public_url.is_https()
    }

    /// Counts an attempt to register, or to create something else that fills the database, for the address.
    pub(crate) async fn count_address(&self, request: &HttpRequest) -> Result<(), AppError> {
        self.throttles.count_address(self.client_address(request)).await
    }

    pub(crate) async fn hash_password(&self, password: NewPassword) -> Result<String, AppError> {
        self.passwords.hash(password).await
    }

    /// The user with this email and password, after counting the attempt. `None` gets one and the same answer, after
    /// the same time: an unknown email, a wrong password or a disabled user. The audit log has the failure.
    pub(crate) async fn verify_login(
        &self,
        request: &HttpRequest,
        email: Option<&EmailAddress>,
        password: &str,
        context: AuditContext,
    ) -> Result<Option<LoginCandidate>, AppError> {
        let (candidate, device_attempt) = self.count_and_find(request, email).await?;
        let stored = candidate.as_ref().map(|candidate| candidate.password_hash.clone());
        let is_enabled = candidate.as_ref().is_some_and(|candidate| candidate.is_enabled);
        let verified = self.passwords.verify(password, stored).await;
        let may_log_in = verified.map(|is_right| is_right && is_enabled);
        if let (Some(attempt), Ok(true) | Err(_)) = (device_attempt, &may_log_in) {
            attempt.give_back();
        }
        if may_log_in? {
            return Ok(candidate);
        }
        if let Some(candidate) = candidate {
            let event = AccountEvent::new(AccountEventKind::SignInFailed);
            record_failed_login(&self.db, candidate.user_id, context, event);
        }
        Ok(None)
    }

    /// Whether a signed-in user has confirmed with the right password or code. Wrong ones count like those of a login. The
    /// audit log has the failure.
    pub(super) async fn verify_confirmation(
        &self,
        request: &HttpRequest,
        user: &SignedInUser,
        entered: Confirmation<'_>,
    ) -> Result<bool, AppError> {
        let email = user.email().parse().ok();
        let (candidate, device_attempt) = self.count_and_find(request, email.as_ref()).await?;
        let stored = candidate.map(|candidate| candidate.password_hash);
        let (wrong, verified) = match entered {
            Confirmation::Password(password) => ("password", self.passwords.verify(password, stored).await),
            Confirmation::Code(code) => ("code", self.verify_code(user, code.to_owned()).await),
        };
        if let (Some(attempt), Ok(true) | Err(_)) = (device_attempt, &verified) {
            attempt.give_back();
        }
        if verified? {
            return Ok(true);
        }
        let (user_id, context) = (user.user_id, user.audit_context());
        let event = AccountEvent::new(AccountEventKind::ConfirmationFailed).with("wrong", wrong);
        self.db
            .run(move |connection| audit::record_account_event(connection, user_id, &context, &event))
            .await?;
        Ok(false)
    }

    async fn verify_code(&self, user: &SignedInUser, code: String) -> Result<bool, AppError> {
        let (factors, context) = (self.second_factors.clone(), user.audit_context());
        let verified =
            self.db.run(move |connection| factors.verify(connection, &context, &code, time::now()));
        verified.await
    }

    /// Sends a user whose password was right to the page for the code, which accepts the invitation with this link.
    pub(crate) async fn ask_for_code_before_accepting(
        &self,
        user: LoginCandidate,
        token: &LinkToken,
    ) -> Result<HttpResponse, AppError> {
        self.ask_for_code_before(user, &LoginReturn::to_invitation(token)).await
    }

    /// Sends a user whose password was right to the page for the code of the second factor.
    pub(super) async fn ask_for_code_before(
        &self,
        user: LoginCandidate,
        login_return: &LoginReturn,
    ) -> Result<HttpResponse, AppError> {
        ask_for_code(&self.db, self.is_https(), user.user_id, user.password_hash, login_return).await
    }

    /// Counts an attempt to log in or to confirm, by password or code, and finds the user.
    ///
    /// A browser that has logged in to the account before has an allowance of its own. All other attempts count for
    /// their address and their account, before the query; those whose device cookie turns out to be outdated, after it.
    pub(super) async fn count_and_find(
        &self,
        request: &HttpRequest,
        email: Option<&EmailAddress>,
    ) -> Result<(Option<LoginCandidate>, Option<DeviceAttempt>), AppError> {
        let cookie = device_cookie::read_cookie(request, self.is_https());
        let entry = email.and_then(|email| self.device_cookie_key.find_entry(&cookie, email, today()));
        if entry.is_none() {
            self.throttles.count_stranger(self.client_address(request), email).await?;
        }
        let Some(email) = email else { return Ok((None, None)) };
        let wanted = email.clone();
        let candidate = self.db.run(move |connection| store::login_candidate(connection, &wanted)).await?;
        let Some(entry) = entry else { return Ok((candidate, None)) };
        let attempt = candidate
            .as_ref()
            .filter(|user| self.device_cookie_key.has_same_password(&entry, &user.password_hash))
            .and_then(|_known| self.throttles.count_device(&entry));
        if attempt.is_none() {
            self.throttles.count_stranger(self.client_address(request), Some(email)).await?;
        }
        Ok((candidate, attempt))
    }

    /// Signs the user in and leads to where the login was to lead.
    pub(super) fn finish_login(
        &self,
        request: &HttpRequest,
        session: &Session,
        context: &AuditContext,
        login: VerifiedLogin,
    ) -> Result<HttpResponse, AppError> {
        let VerifiedLogin { user, email, login_return } = login;
        let origin = self.login_origin(request, context, &email);
        sign_in(session, user.user_id, user.client_id.as_ref(), &origin)?;
        let response = see_other(&login_return.finish(session)?);
        self.mark_browser(response, request, &email, &user.password_hash)
    }

    /// Stores that the user has entered the password or a code again, or has accepted an invitation, which counts as much.
    pub(crate) async fn confirm(&self, user: &SignedInUser) -> Result<(), AppError> {
        let id_hash = user.id_hash().to_vec();
        self.db.run(move |connection| table::confirm(connection, &id_hash)).await
    }

    /// Where a login comes from. The user is notified by mail if the browser has not logged in to this account within a year.
    pub(crate) fn login_origin(
        &self,
        request: &HttpRequest,
        context: &AuditContext,
        email: &EmailAddress,
    ) -> SignInOrigin {
        let cookie = device_cookie::read_cookie(request, self.is_https());
        let is_new_device = self.device_cookie_key.find_entry(&cookie, email, today()).is_none();
        SignInOrigin::new(request, context).from_new_device(is_new_device)
    }

    /// Marks the browser for the next login to this account.
    pub(crate) fn mark_browser(
        &self,
        mut response: HttpResponse,
        request: &HttpRequest,
        email: &EmailAddress,
        password_hash: &str,
    ) -> Result<HttpResponse, AppError> {
        let before = device_cookie::read_cookie(request, self.is_https());
        let value = self.device_cookie_key.add_entry(&before, email, password_hash, today());
        response
            .add_cookie(&device_cookie::build_cookie(value, self.is_https()))
            .map_err(|error| AppError::broken(error.to_string()))?;
        Ok(response)
    }
}

/// The day by this machine's clock, in days since 1970.
fn today() -> i64 {
    time::now().timestamp().div_euclid(24 * 60 * 60)
}

impl actix_web::FromRequest for AccountServices {
    type Error = AppError;
    type Future = std::future::Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, _payload: &mut actix_web::dev::Payload) -> Self::Future {
        std::future::ready((|| {
            Ok(Self {
                db: app_data(request)?,
                passwords: app_data(request)?,
                throttles: app_data(request)?,
                device_cookie_key: app_data(request)?,
                settings: app_data(request)?,
                outbox: app_data(request)?,
                second_factors: app_data(request)?,
                invitation_acceptor: app_data(request)?,
            })
        })())
    }
}

/// Records a failed login after the response, so that the response time does not reveal that the email has an
/// account.
pub(super) fn record_failed_login(db: &Data<Db>, user_id: Uuid, context: AuditContext, event: AccountEvent) {
    let db = Data::clone(db);
    let context = context.by(Actor::Visitor);
    actix_web::rt::spawn(async move {
        let written =
            db.run(move |connection| audit::record_account_event(connection, user_id, &context, &event));
        if let Err(error) = written.await {
            tracing::error!(?error, "A failed login is not in the audit log");
        }
    });
}
