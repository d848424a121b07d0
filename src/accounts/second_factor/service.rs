//! Turning the second factor on and off, and verifying codes. Each change is recorded in the audit log, and the user
//! is notified by mail.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::{
    entered_code::EnteredCode,
    keys::SecondFactorKeys,
    recovery_code::RecoveryCode,
    store::{self, StoredFactor},
    totp_secret::TotpSecret,
};
use crate::{
    accounts::{
        account_mails::{self, SecondFactorChange},
        email::EmailAddress,
        store::find_user_id,
    },
    audit::{self, AccountEventKind, AuditContext, AuditEvent},
    mail::Outbox,
    schema::users,
    secret::InstallationSecret,
    web::format::plural,
};

/// The page with the user's second factor.
pub(crate) const SECOND_FACTOR: &str = "/account/second-factor";
/// Below this number of recovery codes the pages suggest new ones.
const FEW_CODES: i64 = 4;

/// The second factors of all users.
pub struct SecondFactors {
    keys: SecondFactorKeys,
    outbox: Outbox,
}

/// A second factor that is on.
#[derive(Clone, Copy, Debug)]
pub(in crate::accounts) struct FactorStatus {
    pub(in crate::accounts) activated_at: DateTime<Utc>,
    pub(in crate::accounts) recovery_codes_left: i64,
}

impl FactorStatus {
    /// Whether to suggest new recovery codes.
    pub(in crate::accounts) fn has_few_codes(&self) -> bool {
        self.recovery_codes_left < FEW_CODES
    }

    /// `2 recovery codes left`.
    pub(in crate::accounts) fn codes_text(&self) -> String {
        let left = self.recovery_codes_left;
        format!("{left} recovery {} left", plural(left, "code"))
    }
}

/// What an app needs to know to be set up.
pub(super) struct AppSetUp {
    /// The secret for users who cannot scan the QR code.
    pub(super) secret: String,
    /// The content of the QR code.
    pub(super) url: String,
}

/// Result of [`SecondFactors::turn_on`].
pub(super) enum Activation {
    Done(Vec<RecoveryCode>),
    /// The set-up goes on with the same secret.
    WrongCode(AppSetUp),
    /// The set-up has not begun, took too long, or is completed.
    NotBegun,
}

impl SecondFactors {
    /// Second factors that are protected by keys derived from the secret, and whose changes are mailed to the user.
    #[must_use]
    pub fn new(secret: &InstallationSecret, outbox: Outbox) -> Self {
        Self { keys: SecondFactorKeys::new(secret), outbox }
    }

    /// Begins to set an app up, or goes on with it. Returns `None` if the second factor is on already.
    pub(super) fn begin_set_up(
        &self,
        connection: &mut PgConnection,
        user_id: Uuid,
    ) -> QueryResult<Option<AppSetUp>> {
        connection.transaction(|connection| {
            let email = lock_user(connection, user_id)?;
            let stored = store::lock(connection, user_id)?;
            if stored.as_ref().is_some_and(|factor| factor.activated_at.is_some()) {
                return Ok(None);
            }
            let begun = stored.and_then(|factor| self.decrypt(user_id, &factor));
            if let Some(secret) = begun {
                return Ok(Some(AppSetUp::new(&secret, &email)));
            }
            let secret = TotpSecret::generate();
            store::insert(connection, user_id, &self.keys.encrypt_secret(user_id, &secret))?;
            Ok(Some(AppSetUp::new(&secret, &email)))
        })
    }

    /// Completes the set-up with a code of the app.
    pub(super) fn turn_on(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        code: &str,
        now: DateTime<Utc>,
    ) -> QueryResult<Activation> {
        let Some(user_id) = context.user_id() else { return Ok(Activation::NotBegun) };
        connection.transaction(|connection| {
            let email = find_email(connection, user_id)?;
            let stored = store::lock(connection, user_id)?.filter(|factor| factor.activated_at.is_none());
            let secret = stored.and_then(|factor| self.decrypt(user_id, &factor));
            let Some(secret) = secret else { return Ok(Activation::NotBegun) };
            let step = match EnteredCode::parse(code) {
                Some(EnteredCode::OfApp(code)) => secret.find_step(&code, now),
                Some(EnteredCode::Recovery(_)) | None => None,
            };
            let Some(step) = step else {
                return Ok(Activation::WrongCode(AppSetUp::new(&secret, &email)));
            };
            store::activate(connection, user_id, step)?;
            let codes = self.store_new_codes(connection, user_id)?;
            self.report(connection, context, user_id, SecondFactorChange::TurnedOn)?;
            Ok(Activation::Done(codes))
        })
    }

    /// Replaces the recovery codes. Returns `None` if the second factor is not on.
    pub(super) fn create_recovery_codes(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
    ) -> QueryResult<Option<Vec<RecoveryCode>>> {
        let Some(user_id) = context.user_id() else { return Ok(None) };
        connection.transaction(|connection| {
            let stored = store::lock(connection, user_id)?;
            if stored.is_none_or(|factor| factor.activated_at.is_none()) {
                return Ok(None);
            }
            let codes = self.store_new_codes(connection, user_id)?;
            self.report(connection, context, user_id, SecondFactorChange::NewRecoveryCodes)?;
            Ok(Some(codes))
        })
    }

    /// Returns `false` if the second factor was not on.
    pub(super) fn turn_off(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
    ) -> QueryResult<bool> {
        let Some(user_id) = context.user_id() else { return Ok(false) };
        connection.transaction(|connection| {
            let was_on = store::delete(connection, user_id)?;
            if was_on {
                self.report(connection, context, user_id, SecondFactorChange::TurnedOff)?;
            }
            Ok(was_on)
        })
    }

    /// Removes the second factor of a user who has lost it. Returns `false` if it was not on.
    ///
    /// # Errors
    /// `NotFound` if there is no such user, or if the database fails.
    pub fn reset(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        email: &EmailAddress,
    ) -> QueryResult<bool> {
        connection.transaction(|connection| {
            let user_id = find_user_id(connection, email)?.ok_or(diesel::result::Error::NotFound)?;
            let was_on = store::delete(connection, user_id)?;
            if was_on {
                self.report(connection, context, user_id, SecondFactorChange::Reset)?;
            }
            Ok(was_on)
        })
    }

    /// Whether `code` is a code of the acting user's app or a recovery code, and uses it up. No code works twice, also not for
    /// requests at the same time. Returns `false` if the second factor is not on.
    pub(in crate::accounts) fn verify(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        code: &str,
        now: DateTime<Utc>,
    ) -> QueryResult<bool> {
        let Some(user_id) = context.user_id() else { return Ok(false) };
        let Some(code) = EnteredCode::parse(code) else { return Ok(false) };
        connection.transaction(|connection| {
            let stored = store::lock(connection, user_id)?.filter(|factor| factor.activated_at.is_some());
            let Some(factor) = stored else { return Ok(false) };
            match code {
                EnteredCode::OfApp(digits) => {
                    let secret = self.decrypt(user_id, &factor);
                    match secret.and_then(|secret| secret.find_step(&digits, now)) {
                        Some(step) => store::use_step(connection, user_id, step),
                        None => Ok(false),
                    }
                }
                EnteredCode::Recovery(code) => {
                    let hash = self.keys.hash_code(user_id, &code);
                    let is_used = store::use_recovery_code(connection, user_id, &hash)?;
                    if is_used {
                        self.report(connection, context, user_id, SecondFactorChange::UsedRecoveryCode)?;
                    }
                    Ok(is_used)
                }
            }
        })
    }

    /// A secret that does not decrypt was stored under another `UPTOK_SECRET`; the operator can reset the factor.
    fn decrypt(&self, user_id: Uuid, factor: &StoredFactor) -> Option<TotpSecret> {
        let secret = self.keys.decrypt_secret(user_id, &factor.secret);
        if secret.is_none() {
            tracing::error!(%user_id, "A second factor cannot be decrypted; was UPTOK_SECRET changed?");
        }
        secret
    }

    fn store_new_codes(
        &self,
        connection: &mut PgConnection,
        user_id: Uuid,
    ) -> QueryResult<Vec<RecoveryCode>> {
        let codes = RecoveryCode::generate_set();
        let hashes: Vec<_> = codes.iter().map(|code| self.keys.hash_code(user_id, code)).collect();
        store::replace_recovery_codes(connection, user_id, &hashes)?;
        Ok(codes)
    }

    /// Records the change in the log of each client of the user, and notifies the user by mail.
    fn report(
        &self,
        connection: &mut PgConnection,
        context: &AuditContext,
        user_id: Uuid,
        change: SecondFactorChange,
    ) -> QueryResult<()> {
        let left = store::count_recovery_codes(connection, user_id)?;
        let email = find_email(connection, user_id)?;
        let link = self.outbox.link(SECOND_FACTOR);
        self.outbox.enqueue(connection, &account_mails::second_factor_changed(&email, change, left, link))?;
        let mut event = AuditEvent::new(event_kind(change));
        if change == SecondFactorChange::UsedRecoveryCode {
            event = event.with("left", &left);
        }
        audit::record_account_event(connection, user_id, context, &event)
    }
}

/// Returns `None` if the user's second factor is not on.
pub(in crate::accounts) fn find_status(
    connection: &mut PgConnection,
    user_id: Uuid,
) -> QueryResult<Option<FactorStatus>> {
    let Some(activated_at) = store::find_activation(connection, user_id)? else { return Ok(None) };
    let recovery_codes_left = store::count_recovery_codes(connection, user_id)?;
    Ok(Some(FactorStatus { activated_at, recovery_codes_left }))
}

const fn event_kind(change: SecondFactorChange) -> AccountEventKind {
    match change {
        SecondFactorChange::TurnedOn => AccountEventKind::SecondFactorAdded,
        SecondFactorChange::NewRecoveryCodes => AccountEventKind::RecoveryCodesCreated,
        SecondFactorChange::UsedRecoveryCode => AccountEventKind::RecoveryCodeUsed,
        SecondFactorChange::TurnedOff | SecondFactorChange::Reset => AccountEventKind::SecondFactorRemoved,
    }
}

/// The email of the user. Two set-ups at the same time would show two secrets, so the second waits for the first.
fn lock_user(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<String> {
    users::table.find(user_id).select(users::email).for_no_key_update().first(connection)
}

fn find_email(connection: &mut PgConnection, user_id: Uuid) -> QueryResult<String> {
    users::table.find(user_id).select(users::email).first(connection)
}

impl AppSetUp {
    fn new(secret: &TotpSecret, email: &str) -> Self {
        Self { secret: secret.to_base32(), url: secret.to_url(email) }
    }
}
