//! Passwords: argon2id (RFC 9106) with OWASP's minimum parameters, and a bounded queue of hashes.

mod hash_memory;

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _, password_hash::phc::PasswordHash};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

use crate::{
    accounts::password::hash_memory::{HashMemory, IDLE_LIFETIME, PooledArgon2},
    error::AppError,
};

/// Minimum length, in characters (NIST SP 800-63B, password as the only factor).
const LENGTH_MIN: usize = 15;
/// Maximum length, in characters.
const LENGTH_MAX: usize = 256;
/// Maximum number of requests that wait for a hash; further ones get 503.
const QUEUE_MAX: usize = 16;
/// How long a request waits for a hash.
const WAIT: Duration = Duration::from_secs(2);

static COMMON: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("common_passwords.txt").lines().filter(|line| !line.starts_with('#')).collect()
});

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than [`LENGTH_MIN`] characters.
    #[error("Use at least {LENGTH_MIN} characters. A few random words are easy to remember.")]
    TooShort,
    /// More than [`LENGTH_MAX`] characters.
    #[error("Use at most {LENGTH_MAX} characters.")]
    TooLong,
    /// One of the first that an attacker would try.
    #[error("This password is too easy to guess. Use a few unrelated words.")]
    Common,
}

/// A valid new password: [`LENGTH_MIN`] to [`LENGTH_MAX`] characters of any kind, NFKC, not a common one.
#[derive(Clone, Debug)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks `text`. `about` is the user's own email, name and company, which are refused as passwords too.
    ///
    /// # Errors
    /// [`PasswordError`], whose message says what to do.
    pub fn parse(text: &str, about: &[&str]) -> Result<Self, PasswordError> {
        let text = normal_form(text);
        let length = text.chars().count();
        if length < LENGTH_MIN {
            return Err(PasswordError::TooShort);
        }
        if length > LENGTH_MAX {
            return Err(PasswordError::TooLong);
        }
        if is_common(&text.to_lowercase(), about) {
            return Err(PasswordError::Common);
        }
        Ok(Self(SecretString::from(text)))
    }
}

/// NFKC, so that a password matches however the keyboard composed it (NIST SP 800-63B). Neither trimmed nor
/// case-folded.
fn normal_form(text: &str) -> String {
    text.nfkc().collect()
}

/// Whether `text` is a common password, repeated or followed by another one or digits; a single repeated
/// character; or one of the user's own words.
fn is_common(text: &str, about: &[&str]) -> bool {
    let is_own = |word: &&str| word.to_lowercase() == text;
    let mut characters = text.chars();
    let first = characters.next();
    if about.iter().any(is_own) || characters.all(|next| Some(next) == first) {
        return true;
    }
    let ends = text.char_indices().map(|(index, _)| index).skip(1).chain([text.len()]);
    ends.map(|end| &text[..end]).filter(|word| word.len() >= 4 && COMMON.contains(word)).any(|word| {
        let rest = text.trim_start_matches(word);
        rest.is_empty() || COMMON.contains(rest) || rest.chars().all(|it| it.is_ascii_digit())
    })
}

/// Hashes and verifies passwords, a few at a time, because each takes 19 MiB and about 20 ms of a core.
pub struct PasswordHasher {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    memory: Arc<HashMemory>,
    /// Verified if the email is unknown, so that the response takes equally long.
    dummy_hash: Arc<str>,
}

impl PasswordHasher {
    /// Hashes at most half as many passwords at a time as there are cores, but at least one.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn new() -> anyhow::Result<Self> {
        let places = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        let dummy =
            Argon2::default().hash_password(b"nobody has this password").map_err(anyhow::Error::msg)?;
        Ok(Self {
            places: Arc::new(Semaphore::new(places)),
            queue: Arc::new(Semaphore::new(places + QUEUE_MAX)),
            memory: Arc::default(),
            dummy_hash: dummy.to_string().into(),
        })
    }

    /// Returns the PHC string to store.
    ///
    /// # Errors
    /// [`AppError::Busy`] if the queue is full or slow.
    pub async fn hash(&self, password: NewPassword) -> Result<String, AppError> {
        let hash = self
            .queued(move |memory| PooledArgon2(memory).hash_password(password.0.expose_secret().as_bytes()));
        Ok(hash.await?.map_err(AppError::broken)?.to_string())
    }

    /// Returns the PHC string to store. Blocks this thread, so it is only for the command line.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn hash_now(password: &NewPassword) -> anyhow::Result<String> {
        let hash = Argon2::default().hash_password(password.0.expose_secret().as_bytes());
        Ok(hash.map_err(anyhow::Error::msg)?.to_string())
    }

    /// Whether `password` matches the stored hash. Without a hash it takes equally long and returns `false`.
    ///
    /// # Errors
    /// [`AppError::Busy`] if the queue is full or slow.
    pub async fn verify(&self, password: &str, stored: Option<String>) -> Result<bool, AppError> {
        // One character more than allowed never matches, and hashing the rest would only cost time.
        let password: String = normal_form(password).chars().take(LENGTH_MAX + 1).collect();
        let is_known = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.dummy_hash.to_string());
        let matches = self.queued(move |memory| {
            PasswordHash::new(&stored)
                .is_ok_and(|hash| PooledArgon2(memory).verify_password(password.as_bytes(), &hash).is_ok())
        });
        Ok(matches.await? && is_known)
    }

    async fn queued<T: Send + 'static>(
        &self,
        work: impl FnOnce(&HashMemory) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let _queued = self.queue.try_acquire().map_err(|_full| AppError::Busy)?;
        let place = tokio::time::timeout(WAIT, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_elapsed| AppError::Busy)?
            .map_err(AppError::broken)?;
        self.free_memory_when_idle();
        let memory = Arc::clone(&self.memory);
        let answer = tokio::task::spawn_blocking(move || {
            let _place = place;
            work(&memory)
        });
        answer.await.map_err(AppError::broken)
    }

    fn free_memory_when_idle(&self) {
        if !self.memory.start_watch() {
            return;
        }
        let memory = Arc::clone(&self.memory);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(IDLE_LIFETIME).await;
                if !memory.free_idle(Instant::now()) {
                    break;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Option<PasswordError> {
        NewPassword::parse(text, &["ada.lovelace@example.org", "Ada Lovelace King"]).err()
    }

    #[test]
    fn length_counts_characters_and_no_kind_of_them_is_asked_for() {
        assert_eq!(refusal("fourteen chars"), Some(PasswordError::TooShort));
        assert_eq!(refusal("correct horse battery staple"), None);
        assert_eq!(refusal("äöüß€ 漢字 🐎🔋📎 xyz"), None);
        assert_eq!(refusal(&"ab c".repeat(65)), Some(PasswordError::TooLong));
    }

    #[test]
    fn what_everybody_tries_first_is_refused() {
        for text in [
            "aaaaaaaaaaaaaaaa",
            "passwordpassword",
            "PasswordPassword1",
            "qwerty1234567890",
            "123456789123456789",
            "ada.lovelace@example.org",
            "ada lovelace king",
        ] {
            assert_eq!(refusal(text), Some(PasswordError::Common), "{text}");
        }
    }

    #[test]
    fn a_new_password_never_prints() {
        let password = NewPassword::parse("correct horse battery staple", &[]).unwrap();
        assert!(!format!("{password:?}").contains("horse"));
    }

    #[actix_web::test]
    async fn only_the_right_password_of_a_known_user_is_right() {
        let passwords = PasswordHasher::new().unwrap();
        let new = NewPassword::parse("cafe\u{301} au lait, twice", &[]).unwrap();
        let hash = passwords.hash(new).await.unwrap();

        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify("café au lait, twice", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("café au lait, thrice", Some(hash)).await.unwrap());
        assert!(!passwords.verify("nobody has this password", None).await.unwrap());
    }
}
