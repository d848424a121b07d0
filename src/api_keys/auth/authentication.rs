//! A key as a request presents it, wherever it is. Handlers take it from here and never see its text.

use std::{
    future::{Future, Ready, ready},
    net::IpAddr,
    ops::Deref,
    pin::Pin,
    time::Instant,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, web::Data};
use diesel::PgConnection;
use secrecy::ExposeSecret as _;

use super::{
    access::Access,
    credentials::{self, Authenticator, Credentials},
    key_source::{ApiForm, BearerKey},
    rate_limits::{Charge, KeyFingerprint, RateLimitStatus, Rejection},
};
use crate::{
    api_keys::client_key::ClientKey,
    config::Settings,
    db::Db,
    error::AppError,
    ids::{ClientId, PublicKey},
    usage::ApiCaller,
    web::{body::FormFields, client_address::client_address},
};

/// A well-formed key from `Authorization: Bearer`, and what the route asks of it. It proves nothing yet.
///
/// # Errors
/// What [`BearerKey`] refuses; [`AppError::UnknownKey`] for a malformed key; [`AppError::OverLimit`] and
/// [`AppError::TooMany`] before the database is asked; [`AppError::Broken`] for a route that does not say who may call
/// it.
pub struct PresentedKey {
    key: ClientKey,
    mark: KeyFingerprint,
    counted: Charge,
    /// How the key stands to a limit that refuses it, unless that is another one by now.
    refused: Option<RateLimitStatus>,
    access: Access,
    address: IpAddr,
    request: HttpRequest,
    db: Data<Db>,
    gate: Data<Authenticator>,
}

impl PresentedKey {
    fn new(request: &HttpRequest, text: &str) -> Result<Self, AppError> {
        let access = Access::of(request).ok_or_else(|| missing("a route that says who may call it"))?;
        let db = request.app_data::<Data<Db>>().ok_or_else(|| missing("a database"))?;
        let gate = request.app_data::<Data<Authenticator>>().ok_or_else(|| missing("a gate"))?;
        let settings = request.app_data::<Data<Settings>>().ok_or_else(|| missing("settings"))?;
        let address = client_address(request, &settings.trusted_proxies);
        let Ok(key) = text.parse::<ClientKey>() else {
            return gate.limits.bad(None, address, Instant::now());
        };
        let mark = gate.limits.mark(&key);
        let (counted, refused) = match gate.limits.count(mark, address, Instant::now()) {
            Ok(counted) => (counted, None),
            // Ending a leaked key must not have to wait for whoever uses it.
            Err(Rejection::Key { .. }) if access == Access::Possession => (Charge::Not, None),
            Err(Rejection::Key { standing, is_to_be_looked_up: true }) => (Charge::Not, Some(standing)),
            Err(Rejection::Key { standing, .. }) => {
                // Only a key that was let in before, the whole of it, can have used up its limit.
                let client = gate.remembered_client_of(key.public());
                leave_caller(request, client.as_ref(), key.public(), Some(standing));
                return Err(standing.refusal());
            }
            Err(Rejection::Address(error)) => return Err(error),
        };
        let (request, db, gate) = (request.clone(), db.clone(), gate.clone());
        Ok(Self { key, mark, counted, refused, access, address, request, db, gate })
    }

    /// What a statement has to compare with [`crate::api_keys::admits`].
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] when no client ever had this public key; [`AppError::OverLimit`]; those of the database.
    pub async fn credentials(&self) -> Result<Credentials, AppError> {
        let mut client = self.gate.remembered_client_of(self.key.public());
        if client.is_none() {
            let (gate, key) = (self.gate.clone(), self.key.public().clone());
            client = self.db.run(move |connection| gate.client_of(connection, &key)).await?;
        }
        let Some(client) = client else { return self.unknown() };
        let credentials = self.gate.credentials(&self.key, client, self.access.scope(), self.address);
        if let Some(standing) = self.refused {
            self.look_up_limit(&credentials, standing).await?;
        }
        Ok(credentials)
    }

    /// Refuses a key that has used up its limit, unless it has another one by now.
    async fn look_up_limit(
        &self,
        credentials: &Credentials,
        standing: RateLimitStatus,
    ) -> Result<(), AppError> {
        let asked = credentials.clone();
        let Some(living) = self.db.run(move |connection| asked.living(connection)).await? else {
            return self.unknown();
        };
        if i64::from(living.requests_per_minute) == i64::from(standing.per_minute.get()) {
            self.leave_caller(credentials, Some(standing));
            return Err(standing.refusal());
        }
        self.gate.limits.forget(self.mark);
        Ok(())
    }

    /// What `work` found for whoever presents this key. It asks [`crate::api_keys::admits`] in its statement, says so
    /// with [`Credentials::let_in`], and finds `None` when the key is not let in.
    ///
    /// # Errors
    /// Those of `work`; why the key is refused.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection, &Credentials) -> Result<Option<T>, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let credentials = self.credentials().await?;
        let theirs = credentials.clone();
        let found = self.db.run(move |connection| work(connection, &theirs)).await;
        self.settle(&credentials, found).await
    }

    /// What was read of the call. Why it cannot be read is told to a key that is let in alone, and counts for it.
    ///
    /// # Errors
    /// Why the key is refused; else that of `read`.
    pub async fn readable<T>(&self, read: Result<T, AppError>) -> Result<T, AppError> {
        if read.is_err() {
            let admitted = |connection: &mut PgConnection, credentials: &Credentials| {
                Ok(credentials::is_admitted(connection, credentials)?.then_some(()))
            };
            self.run(admitted).await?;
        }
        read
    }

    /// What was found with these credentials, or why the key is refused. Every answer to a key passes here.
    ///
    /// # Errors
    /// The error that was found; why the key is refused, when nothing was.
    pub async fn settle<T>(
        &self,
        credentials: &Credentials,
        found: Result<Option<T>, AppError>,
    ) -> Result<T, AppError> {
        if let Some(per_minute) = credentials.limit_if_let_in() {
            self.is_good(credentials, per_minute);
            return found?.ok_or_else(|| AppError::broken("a key was let in and nothing was found for it"));
        }
        if found?.is_some() {
            return Err(AppError::broken("something was found for a key that was not let in"));
        }
        let asked = credentials.clone();
        let Some(living) = self.db.run(move |connection| asked.living(connection)).await? else {
            return self.unknown();
        };
        // Whoever is told why has the whole of a living key, so the request is that key's.
        let refusal = credentials.refusal(&living);
        if matches!(refusal, AppError::AddressNotAllowed(_)) {
            self.gate.limits.is_elsewhere(self.mark, self.address, self.counted, Instant::now());
            self.leave_caller(credentials, None);
        } else {
            self.is_good(credentials, living.requests_per_minute);
        }
        Err(refusal)
    }

    /// Counts the request for its key, unless that is done.
    fn is_good(&self, credentials: &Credentials, per_minute: i32) {
        let limits = &self.gate.limits;
        if self.counted == Charge::Elsewhere {
            limits.is_here(self.mark, self.address);
        }
        let standing = limits.found(self.mark, per_minute, self.counted, Instant::now());
        self.leave_caller(credentials, standing);
    }

    fn leave_caller(&self, credentials: &Credentials, standing: Option<RateLimitStatus>) {
        leave_caller(&self.request, Some(&credentials.client), &credentials.public_key, standing);
    }

    fn unknown<T>(&self) -> Result<T, AppError> {
        self.gate.limits.bad(Some(self.mark), self.address, Instant::now())
    }
}

/// Leaves with the request whose it is and how the key stands.
fn leave_caller(
    request: &HttpRequest,
    client: Option<&ClientId>,
    public_key: &PublicKey,
    standing: Option<RateLimitStatus>,
) {
    let mut extensions = request.extensions_mut();
    if let Some(client) = client {
        extensions.insert(ApiCaller { client: client.clone(), public_key: public_key.clone() });
    }
    extensions.remove::<RateLimitStatus>();
    if let Some(standing) = standing {
        extensions.insert(standing);
    }
}

fn missing(what: &str) -> AppError {
    AppError::broken(format!("a request with a key needs {what}"))
}

impl FromRequest for PresentedKey {
    type Error = AppError;
    type Future = Ready<Result<Self, AppError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let BearerKey(key) = match BearerKey::from_request(request, payload).into_inner() {
            Ok(key) => key,
            Err(error) => return ready(Err(error)),
        };
        ready(Self::new(request, key.expose_secret()))
    }
}

/// The fields of a call whose body has at most `LIMIT` bytes, and the key it presents, in a field or in the header.
///
/// # Errors
/// What [`ApiForm`] and [`PresentedKey`] refuse.
pub struct FormWithKey<const LIMIT: usize> {
    /// The key.
    pub key: PresentedKey,
    fields: ApiForm<LIMIT>,
}

impl<const LIMIT: usize> Deref for FormWithKey<LIMIT> {
    type Target = FormFields<LIMIT>;

    fn deref(&self) -> &Self::Target {
        &self.fields
    }
}

impl<const LIMIT: usize> FromRequest for FormWithKey<LIMIT> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let fields = ApiForm::<LIMIT>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let fields = fields.await?;
            let key = PresentedKey::new(&request, fields.presented_key()?)?;
            Ok(Self { key, fields })
        })
    }
}
