//! A key as a request presents it, wherever it is. Handlers take it from here and never see its text.

use std::{
    future::{Future, Ready, ready},
    ops::Deref,
    pin::Pin,
};

use actix_web::{FromRequest, HttpMessage as _, HttpRequest, dev::Payload, web::Data};
use diesel::PgConnection;
use secrecy::ExposeSecret as _;

use super::{Access, ClientKey, Credentials, Gate, PublicKey};
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
/// What [`BearerKey`] refuses; [`AppError::UnknownKey`] for a malformed key; [`AppError::Broken`] for a route that does
/// not say who may call it.
pub struct Presented {
    key: ClientKey,
    access: Access,
    request: HttpRequest,
    db: Data<Db>,
    gate: Data<Gate>,
}

impl Presented {
    fn new(request: &HttpRequest, key: &str) -> Result<Self, AppError> {
        let access = Access::of(request).ok_or_else(|| missing("a route that says who may call it"))?;
        let db = request.app_data::<Data<Db>>().ok_or_else(|| missing("a database"))?;
        let gate = request.app_data::<Data<Gate>>().ok_or_else(|| missing("a gate"))?;
        let key = ClientKey::try_from(key)?;
        Ok(Self { key, access, request: request.clone(), db: db.clone(), gate: gate.clone() })
    }

    /// What a statement has to compare with [`super::admits`].
    ///
    /// # Errors
    /// [`AppError::UnknownKey`] when no client ever had this public key; those of the database.
    pub async fn credentials(&self) -> Result<Credentials, AppError> {
        let settings = self.request.app_data::<Data<Settings>>().ok_or_else(|| missing("settings"))?;
        let address = client_address(&self.request, &settings.trusted_proxies);
        let client = if let Some(client) = self.gate.remembered_client_of(self.key.public()) {
            client
        } else {
            let (gate, key) = (self.gate.clone(), self.key.public().clone());
            self.db.run(move |connection| gate.client_of(connection, &key)).await?
        };
        Ok(self.gate.credentials(&self.key, client, self.access.scope(), address))
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

    /// What was found with these credentials, or why the key is refused. Every answer to a key passes here.
    ///
    /// # Errors
    /// The error that was found; why the key is refused, when nothing was.
    pub async fn settle<T: Send + 'static>(
        &self,
        credentials: &Credentials,
        found: Result<Option<T>, AppError>,
    ) -> Result<T, AppError> {
        if credentials.was_let_in() {
            self.leave_caller(credentials);
            return found?.ok_or_else(|| AppError::broken("a key was let in and nothing was found for it"));
        }
        if found?.is_some() {
            return Err(AppError::broken("something was found for a key that was not let in"));
        }
        let theirs = credentials.clone();
        let refusal = self.db.run(move |connection| theirs.refusal(connection)).await;
        // These are said to whoever has the whole of a living key, so the request is that key's.
        if let Err(AppError::AddressNotAllowed(_) | AppError::MissingScope(_)) = refusal {
            self.leave_caller(credentials);
        }
        refusal
    }

    fn leave_caller(&self, credentials: &Credentials) {
        let caller =
            Caller { client: credentials.client.clone(), public_key: credentials.public_key.clone() };
        self.request.extensions_mut().insert(caller);
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
