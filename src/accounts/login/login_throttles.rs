//! Limits on attempts to log in or register.

use std::{
    convert::Infallible,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use quick_cache::sync::Cache;

use crate::{
    accounts::{email::EmailAddress, login::device_cookie::DeviceEntry},
    db::Db,
    error::AppError,
    metrics::RefusalMetrics,
    rate_limits::{ExactLimit, SharedLimits},
    web::limits::limit_kind::LimitKind,
};

/// Wrong passwords that a browser may send with one device cookie. Then the cookie is not trusted any more: its
/// attempts count like those of a stranger, until the next login issues a new one.
const WRONG_PASSWORDS_MAX: u32 = 10;
/// Maximum number of device cookies whose wrong passwords are counted. Each takes a login, so strangers cannot fill this.
const COUNTED_DEVICES_MAX: usize = 10_000;

/// Limits attempts to log in or register.
pub struct LoginThrottles {
    addresses: ExactLimit,
    accounts: ExactLimit,
    /// Attempts per nonce of a device cookie, on this node.
    devices: Cache<String, Arc<AtomicU32>>,
}

impl LoginThrottles {
    /// `tries` per minute for each address, and for each account.
    pub(crate) fn new(
        tries: NonZeroU32,
        db: &Db,
        shared: &Arc<SharedLimits>,
        metrics: &RefusalMetrics,
    ) -> Self {
        let limit =
            |kind| ExactLimit::new(kind, tries, Arc::clone(shared), db.clone(), metrics.counter(kind));
        Self {
            addresses: limit(LimitKind::LoginAddress),
            accounts: limit(LimitKind::LoginAccount),
            devices: Cache::new(COUNTED_DEVICES_MAX),
        }
    }

    /// Counts an attempt for the address.
    pub(crate) async fn count_address(&self, address: IpAddr) -> Result<(), AppError> {
        self.addresses.count(&address.to_string()).await
    }

    /// Counts an attempt for the address and, if the email address could be read, for its account, whether or not there
    /// is one.
    pub(crate) async fn count_stranger(
        &self,
        address: IpAddr,
        email: Option<&EmailAddress>,
    ) -> Result<(), AppError> {
        self.count_address(address).await?;
        match email {
            Some(email) => self.accounts.count(email.as_str()).await,
            None => Ok(()),
        }
    }

    /// Counts an attempt for a device cookie only. Returns `None` if [`WRONG_PASSWORDS_MAX`] have failed.
    ///
    /// It is counted before the password is verified, so that attempts at the same time cannot exceed the limit.
    pub(crate) fn count_device(&self, entry: &DeviceEntry) -> Option<DeviceAttempt> {
        let Ok(attempts) =
            self.devices.get_or_insert_with(entry.nonce(), || Ok::<_, Infallible>(Arc::default()));
        let count = |attempts| (attempts < WRONG_PASSWORDS_MAX).then_some(attempts + 1);
        attempts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count).ok()?;
        Some(DeviceAttempt(attempts))
    }
}

/// An attempt that was counted for a device cookie.
pub(crate) struct DeviceAttempt(Arc<AtomicU32>);

impl DeviceAttempt {
    /// Stops counting the attempt, because it was no wrong password.
    pub(crate) fn give_back(self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
