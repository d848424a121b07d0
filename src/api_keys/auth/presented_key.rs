//! The key that a request presents. Handlers never see its text.

use std::{
    future::{Future, Ready, ready},
    net::IpAddr,
    ops::Deref,
    pin::Pin,
    time::Instant,
};

use actix_web::{
    FromRequest, HttpMessage as _, HttpRequest, HttpResponse, Responder, body::BoxBody, dev::Payload,
    web::Data,
};
use diesel::{PgConnection, QueryResult};
use secrecy::ExposeSecret as _;

use super::{
    authorized::{self, Authorized},
    endpoint_access::EndpointAccess,
    key_authenticator::{self, KeyAuthenticator, KeyCredentials},
    key_extraction::{ApiForm, BearerKey},
    rate_limits::{LimitedKey, RateLimitCharge, RateLimitKeyHash, RateLimitRejection},
};
use crate::{
    api_keys::client_key::ClientKey,
    config::Settings,
    db::Db,
    error::AppError,
    ids::{ClientId, PublicKey},
    usage::ApiCaller,
    web::{
        body::FormFields, connection::client_address::client_address, limits::rate_limit::RateLimitStatus,
    },
};

/// The answer to a request whose key was authorized and counted. Only [`PresentedKey`] creates it.
pub(crate) struct AuthorizedReply<T>(T);

impl<T> AuthorizedReply<T> {
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> AuthorizedReply<U> {
        AuthorizedReply(change(self.0))
    }
}

impl<T> AuthorizedReply<Result<T, AppError>> {
    pub(crate) fn transpose(self) -> Result<AuthorizedReply<T>, AppError> {
        self.0.map(AuthorizedReply)
    }
}

impl Responder for AuthorizedReply<HttpResponse> {
    type Body = BoxBody;

    fn respond_to(self, _request: &HttpRequest) -> HttpResponse {
        self.0
    }
}

/// A well-formed key that is not authorized yet, with the access rule of the route.
///
/// # Errors
/// What [`BearerKey`] refuses; [`AppError::UnknownKey`] for a malformed key; [`AppError::OverLimit`] and
/// [`AppError::TooMany`] without a query; [`AppError::Broken`] for a route without an access rule.
pub(crate) struct PresentedKey {
    key: ClientKey,
    fingerprint: RateLimitKeyHash,
    charge: RateLimitCharge,
    /// The exhausted limit, if it has to be compared with the database before the key is refused.
    exhausted: Option<RateLimitStatus>,
    access: EndpointAccess,
    address: IpAddr,
    request: HttpRequest,
    db: Data<Db>,
    authenticator: Data<KeyAuthenticator>,
}

impl PresentedKey {
    fn new(request: &HttpRequest, text: &str) -> Result<Self, AppError> {
        let access =
            EndpointAccess::from_request(request).ok_or_else(|| missing("a route with an access rule"))?;
        let db = request.app_data::<Data<Db>>().ok_or_else(|| missing("a database"))?;
        let authenticator =
            request.app_data::<Data<KeyAuthenticator>>().ok_or_else(|| missing("an authenticator"))?;
        let settings = request.app_data::<Data<Settings>>().ok_or_else(|| missing("settings"))?;
        let address = client_address(request, &settings.trusted_proxies);
        let limits = &authenticator.limits;
        let Ok(key) = text.parse::<ClientKey>() else {
            return limits.record_bad_key(None, address, Instant::now());
        };
        let fingerprint = limits.fingerprint(&key);
        let (charge, exhausted) = match limits.charge(fingerprint, key.public(), address, Instant::now()) {
            Ok(charge) => (charge, None),
            // Abuse of a leaked key must not delay its revocation.
            Err(RateLimitRejection::Key { .. }) if access == EndpointAccess::RevokeOnly => {
                (RateLimitCharge::None, None)
            }
            Err(RateLimitRejection::Key { status, is_lookup_due: true }) => {
                (RateLimitCharge::None, Some(status))
            }
            Err(RateLimitRejection::Key { status, .. }) => {
                // Only a key that was authorized before can have used up its limit.
                let client = authenticator.cached_client(key.public());
                attach_caller(request, client.as_ref(), key.public(), Some(status));
                return Err(limits.refuse_key(status));
            }
            Err(RateLimitRejection::Address(error)) => return Err(error),
        };
        let (request, db, authenticator) = (request.clone(), db.clone(), authenticator.clone());
        Ok(Self { key, fingerprint, charge, exhausted, access, address, request, db, authenticator })
    }

    /// What a statement needs to authorize this key.
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] if no client ever had this public key; [`AppError::OverLimit`].
    pub(crate) async fn credentials(&self) -> Result<KeyCredentials, AppError> {
        let mut client = self.authenticator.cached_client(self.key.public());
        if client.is_none() {
            let (authenticator, key) = (self.authenticator.clone(), self.key.public().clone());
            client = self.db.run(move |connection| authenticator.find_client(connection, &key)).await?;
        }
        let Some(client) = client else { return self.record_bad_key() };
        let credentials =
            self.authenticator.credentials(&self.key, client, self.access.scope(), self.address);
        if let Some(status) = self.exhausted {
            self.refuse_unchanged_limit(&credentials, status).await?;
        }
        Ok(credentials)
    }

    /// Refuses a key that has used up its limit, unless the limit was changed meanwhile.
    async fn refuse_unchanged_limit(
        &self,
        credentials: &KeyCredentials,
        status: RateLimitStatus,
    ) -> Result<(), AppError> {
        let query = credentials.clone();
        let key = self.db.run(move |connection| key_authenticator::find_live_key(connection, &query)).await?;
        let Some(key) = key else { return self.record_bad_key() };
        if i64::from(key.requests_per_minute) == i64::from(status.per_minute.get()) {
            let limited = limited_key(credentials, key.requests_per_minute);
            self.authenticator.limits.remember(self.fingerprint, limited, Instant::now());
            self.attach_caller(credentials, Some(status));
            return Err(self.authenticator.limits.refuse_key(status));
        }
        self.authenticator.limits.forget(self.fingerprint);
        Ok(())
    }

    /// Refuses a key that is not authorized, before a large body is read. The request is not counted yet.
    ///
    /// # Errors
    /// Why the key is denied.
    pub(crate) async fn authorize_before_body(&self) -> Result<(), AppError> {
        let credentials = self.credentials().await?;
        let query = credentials.clone();
        match self.db.run(move |connection| authorized::authorize(connection, &query)).await? {
            Some(_authorized) => Ok(()),
            None => self.deny(&credentials).await,
        }
    }

    /// Runs a statement that authorizes the key itself.
    ///
    /// # Errors
    /// Errors of `query`, or why the key is denied.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        query: impl FnOnce(&mut PgConnection, &KeyCredentials) -> Result<Option<Authorized<T>>, AppError>
        + Send
        + 'static,
    ) -> Result<AuthorizedReply<T>, AppError> {
        let credentials = self.credentials().await?;
        let copy = credentials.clone();
        let found = self.db.run(move |connection| query(connection, &copy)).await?;
        self.finish(&credentials, found).await
    }

    /// Runs `work` in a read-only snapshot that authorizes the key first.
    ///
    /// # Errors
    /// Errors of `work`, which count for the key, or why the key is denied.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection, &KeyCredentials) -> Result<T, AppError> + Send + 'static,
    ) -> Result<AuthorizedReply<T>, AppError> {
        let found = self.run(|connection, credentials| {
            authorized::run_in_snapshot(connection, credentials, |connection| work(connection, credentials))
        });
        found.await?.transpose()
    }

    /// Runs `work` in a transaction that authorizes the key first.
    ///
    /// # Errors
    /// As [`PresentedKey::read`]; an error of `work` rolls the transaction back.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection, &KeyCredentials) -> Result<T, AppError> + Send + 'static,
    ) -> Result<AuthorizedReply<T>, AppError> {
        let access = self.access;
        let found = self.run(move |connection, credentials| {
            let authorize = |connection: &mut PgConnection| authorize(connection, credentials, access);
            authorized::run_in_transaction(connection, authorize, |connection| work(connection, credentials))
        });
        found.await?.transpose()
    }

    /// The parsed request. Only an authorized key learns why a request is malformed, and the request counts for it.
    ///
    /// # Errors
    /// Why the key is denied, otherwise the error of `parsed`.
    pub(crate) async fn authorize_before_error<T>(&self, parsed: Result<T, AppError>) -> Result<T, AppError> {
        if parsed.is_err() {
            self.run(|connection, credentials| Ok(authorized::authorize(connection, credentials)?)).await?;
        }
        parsed
    }

    /// Counts the request and turns the result of a statement into the answer.
    ///
    /// # Errors
    /// Why the key is denied.
    pub(crate) async fn finish<T>(
        &self,
        credentials: &KeyCredentials,
        found: Option<Authorized<T>>,
    ) -> Result<AuthorizedReply<T>, AppError> {
        match found {
            Some(authorized) => {
                self.record_good_key(credentials, authorized.requests_per_minute());
                Ok(AuthorizedReply(authorized.into_value()))
            }
            None => self.deny(credentials).await,
        }
    }

    /// Finds out why the key was denied.
    async fn deny<T>(&self, credentials: &KeyCredentials) -> Result<T, AppError> {
        let query = credentials.clone();
        let key = self.db.run(move |connection| key_authenticator::find_live_key(connection, &query)).await?;
        let Some(key) = key else { return self.record_bad_key() };
        // The caller holds the whole key, so the request counts for the key and the caller may learn the reason.
        let reason = credentials.denial_reason(&key);
        if matches!(reason, AppError::AddressNotAllowed(_)) {
            let limits = &self.authenticator.limits;
            limits.block_address(self.fingerprint, self.address, self.charge, Instant::now());
            self.attach_caller(credentials, None);
        } else {
            self.record_good_key(credentials, key.requests_per_minute);
        }
        Err(reason)
    }

    /// Counts the request for its key, unless it is already counted.
    fn record_good_key(&self, credentials: &KeyCredentials, per_minute: i32) {
        let limits = &self.authenticator.limits;
        if self.charge == RateLimitCharge::KeyAtAddress {
            limits.unblock_address(self.fingerprint, self.address);
        }
        let limited = limited_key(credentials, per_minute);
        let status = limits.record_good_key(self.fingerprint, limited, self.charge, Instant::now());
        self.attach_caller(credentials, status);
    }

    fn record_bad_key<T>(&self) -> Result<T, AppError> {
        self.authenticator.limits.record_bad_key(Some(self.fingerprint), self.address, Instant::now())
    }

    fn attach_caller(&self, credentials: &KeyCredentials, status: Option<RateLimitStatus>) {
        attach_caller(&self.request, Some(&credentials.client), &credentials.public_key, status);
    }
}

fn limited_key(credentials: &KeyCredentials, per_minute: i32) -> LimitedKey<'_> {
    LimitedKey::new(&credentials.client, &credentials.public_key, per_minute)
}

fn authorize(
    connection: &mut PgConnection,
    credentials: &KeyCredentials,
    access: EndpointAccess,
) -> QueryResult<Option<Authorized<()>>> {
    if access == EndpointAccess::RevokeOnly {
        authorized::authorize_live(connection, credentials)
    } else {
        authorized::authorize(connection, credentials)
    }
}

/// Attaches to the request whose key it presents, for the usage counts, and the rate-limit status, for the headers.
fn attach_caller(
    request: &HttpRequest,
    client: Option<&ClientId>,
    public_key: &PublicKey,
    status: Option<RateLimitStatus>,
) {
    let mut extensions = request.extensions_mut();
    if let Some(client) = client {
        extensions.insert(ApiCaller { client: client.clone(), public_key: public_key.clone() });
    }
    extensions.remove::<RateLimitStatus>();
    if let Some(status) = status {
        extensions.insert(status);
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

/// A form of at most `LIMIT` bytes with the key that the request presents, in a field or in the header.
///
/// # Errors
/// What [`ApiForm`] and [`PresentedKey`] refuse.
pub(crate) struct PresentedKeyForm<const LIMIT: usize> {
    pub(crate) key: PresentedKey,
    fields: ApiForm<LIMIT>,
}

impl<const LIMIT: usize> Deref for PresentedKeyForm<LIMIT> {
    type Target = FormFields<LIMIT>;

    fn deref(&self) -> &Self::Target {
        &self.fields
    }
}

impl<const LIMIT: usize> FromRequest for PresentedKeyForm<LIMIT> {
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
