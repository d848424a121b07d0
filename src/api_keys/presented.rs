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
    Access, ClientKey, Credentials, Gate, PublicKey,
    limits::{Mark, Refused, Standing},
    store,
};
use crate::{
    accounts::ClientId,
    config::Settings,
    db::Db,
    error::AppError,
    web::{
        api_request::{ApiRequest, BearerKey},
        body::Fields,
        client_address::client_address,
    },
};

/// Whose key was let in, or is known to live: left with the request for whoever looks at the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The client.
    pub client: ClientId,
    /// The public key.
    pub public_key: PublicKey,
}

/// A well-formed key from `Authorization: Bearer`, and what the route asks of it. It proves nothing yet.
///
/// # Errors
/// What [`BearerKey`] refuses; [`AppError::UnknownKey`] for a malformed key; [`AppError::OverLimit`] and
/// [`AppError::TooMany`] before the database is asked; [`AppError::Broken`] for a route that does not say who may call
/// it.
pub struct Presented {
    key: ClientKey,
    mark: Mark,
    /// How the key stood when this request was counted, if it was.
    counted: Option<Standing>,
    access: Access,
    address: IpAddr,
    request: HttpRequest,
    db: Data<Db>,
    gate: Data<Gate>,
}

impl Presented {
    fn new(request: &HttpRequest, text: &str) -> Result<Self, AppError> {
        let access = Access::of(request).ok_or_else(|| missing("a route that says who may call it"))?;
        let db = request.app_data::<Data<Db>>().ok_or_else(|| missing("a database"))?;
        let gate = request.app_data::<Data<Gate>>().ok_or_else(|| missing("a gate"))?;
        let settings = request.app_data::<Data<Settings>>().ok_or_else(|| missing("settings"))?;
        let address = client_address(request, &settings.trusted_proxies);
        let Ok(key) = text.parse::<ClientKey>() else {
            return gate.limits.bad(None, address, Instant::now());
        };
        let mark = gate.limits.mark(&key);
        let counted = gate.limits.count(mark, address, Instant::now()).map_err(|refused| match refused {
            Refused::Address(error) => error,
            // Only a key that was let in before, the whole of it, can have used up its limit.
            Refused::Key(standing) => {
                let mut extensions = request.extensions_mut();
                if let Some(client) = gate.remembered_client_of(key.public()) {
                    extensions.insert(Caller { client, public_key: key.public().clone() });
                }
                extensions.insert(standing);
                standing.refusal()
            }
        })?;
        let (request, db, gate) = (request.clone(), db.clone(), gate.clone());
        Ok(Self { key, mark, counted, access, address, request, db, gate })
    }

    /// What a statement has to compare with [`super::admits`].
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] when no client ever had this public key; those of the database.
    pub async fn credentials(&self) -> Result<Credentials, AppError> {
        let mut client = self.gate.remembered_client_of(self.key.public());
        if client.is_none() {
            let (gate, key) = (self.gate.clone(), self.key.public().clone());
            client = self.db.run(move |connection| gate.client_of(connection, &key)).await?;
        }
        let Some(client) = client else { return self.unknown() };
        Ok(self.gate.credentials(&self.key, client, self.access.scope(), self.address))
    }

    /// What `work` found for whoever presents this key. It asks [`super::admits`] in its statement, says so
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
                Ok(store::is_admitted(connection, credentials)?.then_some(()))
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
        self.is_good(credentials, living.requests_per_minute);
        Err(credentials.refusal(&living))
    }

    /// Leaves with the request whose it is and how the key stands once it is counted.
    fn is_good(&self, credentials: &Credentials, per_minute: i32) {
        let standing = self.gate.limits.found(self.mark, per_minute, self.counted, Instant::now());
        let mut extensions = self.request.extensions_mut();
        let (client, public_key) = (credentials.client.clone(), credentials.public_key.clone());
        extensions.insert(Caller { client, public_key });
        extensions.remove::<Standing>();
        if let Some(standing) = standing {
            extensions.insert(standing);
        }
    }

    fn unknown<T>(&self) -> Result<T, AppError> {
        self.gate.limits.bad(Some(self.mark), self.address, Instant::now())
    }
}

fn missing(what: &str) -> AppError {
    AppError::broken(format!("a request with a key needs {what}"))
}

impl FromRequest for Presented {
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
/// What [`ApiRequest`] and [`Presented`] refuse.
pub struct FormCall<const LIMIT: usize> {
    /// The key.
    pub key: Presented,
    fields: ApiRequest<LIMIT>,
}

impl<const LIMIT: usize> Deref for FormCall<LIMIT> {
    type Target = Fields<LIMIT>;

    fn deref(&self) -> &Self::Target {
        &self.fields
    }
}

impl<const LIMIT: usize> FromRequest for FormCall<LIMIT> {
    type Error = AppError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, AppError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let fields = ApiRequest::<LIMIT>::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let fields = fields.await?;
            let key = Presented::new(&request, fields.presented_key()?)?;
            Ok(Self { key, fields })
        })
    }
}
