//! The device cookie: it marks a browser that has logged in to an account, so that wrong passwords of strangers cannot
//! lock its user out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
//!
//! It has an entry for each account that logged in with the browser, the newest first. An entry is `day.nonce.tag.tag`.
//! The first tag depends on the stored password hash, so a new password ends all entries of the account. The second one
//! covers the entry and the email address, so that entries which are forged or belong to another account are refused
//! without a query. The cookie names no account and signs nobody in.

use actix_web::{
    HttpRequest,
    cookie::{Cookie, SameSite, time::Duration},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    accounts::email::EmailAddress,
    random,
    secret::{DerivedKeyPurpose, InstallationSecret},
    web::format::hex,
};

/// An entry is valid for this many days.
const ENTRY_DAYS: i64 = 365;
/// Maximum number of entries. The oldest one gives way to a new one.
const ENTRIES_MAX: usize = 5;
/// Characters of a nonce: 131 bits.
const NONCE_LENGTH: usize = 22;
/// Bytes of a tag, which is a truncated HMAC (128 bits).
const TAG_LENGTH: usize = 16;
/// Between the entries; no entry contains it.
const SEPARATOR: &str = "-";

/// Issues device cookies and recognizes them: HMAC-SHA-256 (RFC 2104) under a key derived from `UPTOK_SECRET`.
pub(crate) struct DeviceCookieKey {
    mac: Hmac<Sha256>,
}

/// An entry that this installation issued to the account it was looked up for.
pub(crate) struct DeviceEntry {
    nonce: String,
    password_tag: String,
}

impl DeviceEntry {
    /// Different for each login.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }
}

impl DeviceCookieKey {
    /// Derives the key from the secret.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub(crate) fn new(secret: &InstallationSecret) -> Self {
        let mac = Hmac::new_from_slice(&secret.derive(DerivedKeyPurpose::DeviceCookie))
            .expect("HMAC takes a key of any length");
        Self { mac }
    }

    /// The valid entry of this account in the value of a cookie. `today` is in days since 1970.
    pub(crate) fn find_entry(&self, value: &str, email: &EmailAddress, today: i64) -> Option<DeviceEntry> {
        let entry = split_entries(value).find(|entry| self.is_genuine(entry, email))?;
        (today - entry.day.parse::<i64>().ok()? < ENTRY_DAYS).then(|| DeviceEntry {
            nonce: entry.nonce.to_owned(),
            password_tag: entry.password_tag.to_owned(),
        })
    }

    /// Whether the account still has the password that it had when the entry was issued.
    pub(crate) fn has_same_password(&self, entry: &DeviceEntry, password_hash: &str) -> bool {
        verify_tag(self.password_mac(&entry.nonce, password_hash), &entry.password_tag)
    }

    /// The value of the cookie after a login: a new entry, then those of other accounts in the previous value.
    pub(crate) fn add_entry(
        &self,
        previous: &str,
        email: &EmailAddress,
        password_hash: &str,
        today: i64,
    ) -> String {
        let nonce = random::alphanumeric(NONCE_LENGTH);
        let password_tag = encode_tag(self.password_mac(&nonce, password_hash));
        let day = today.to_string();
        let new = EntryText { day: &day, nonce: &nonce, password_tag: &password_tag, tag: "" };
        let new_tag = encode_tag(self.entry_mac(&new, email));
        let new = EntryText { tag: &new_tag, ..new };
        let others = split_entries(previous).filter(|entry| !self.is_genuine(entry, email));
        let entries = std::iter::once(new).chain(others).take(ENTRIES_MAX);
        entries.map(|entry| entry.to_string()).collect::<Vec<_>>().join(SEPARATOR)
    }

    fn is_genuine(&self, entry: &EntryText<'_>, email: &EmailAddress) -> bool {
        verify_tag(self.entry_mac(entry, email), entry.tag)
    }

    fn entry_mac(&self, entry: &EntryText<'_>, email: &EmailAddress) -> Hmac<Sha256> {
        self.begin(["uptok device entry v1", email.as_str(), entry.day, entry.nonce, entry.password_tag])
    }

    fn password_mac(&self, nonce: &str, password_hash: &str) -> Hmac<Sha256> {
        self.begin(["uptok device password v1", nonce, password_hash])
    }

    /// A NUL follows each part, and no part contains one, so parts cannot be shifted against each other.
    fn begin<const PARTS: usize>(&self, parts: [&str; PARTS]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac
    }
}

/// An entry as text, well-formed but not verified.
#[derive(Clone, Copy)]
struct EntryText<'a> {
    /// When it was issued, in days since 1970.
    day: &'a str,
    nonce: &'a str,
    password_tag: &'a str,
    tag: &'a str,
}

impl<'a> EntryText<'a> {
    /// Strict, because entries of other accounts are copied into the next cookie without being verified.
    fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.splitn(5, '.').collect();
        let [day, nonce, password_tag, tag] = parts[..] else { return None };
        let is_day = (1..=7).contains(&day.len()) && day.bytes().all(|byte| byte.is_ascii_digit());
        let is_nonce = nonce.len() == NONCE_LENGTH && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_day && is_nonce && is_tag(password_tag) && is_tag(tag)).then_some(Self {
            day,
            nonce,
            password_tag,
            tag,
        })
    }
}

impl std::fmt::Display for EntryText<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}.{}.{}.{}", self.day, self.nonce, self.password_tag, self.tag)
    }
}

fn split_entries(value: &str) -> impl Iterator<Item = EntryText<'_>> {
    value.split(SEPARATOR).take(ENTRIES_MAX).filter_map(EntryText::parse)
}

fn is_tag(text: &str) -> bool {
    text.len() == 2 * TAG_LENGTH && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn encode_tag(mac: Hmac<Sha256>) -> String {
    hex(&mac.finalize().into_bytes()[..TAG_LENGTH])
}

/// Compares in constant time.
fn verify_tag(mac: Hmac<Sha256>, tag: &str) -> bool {
    u128::from_str_radix(tag, 16).is_ok_and(|tag| mac.verify_truncated_left(&tag.to_be_bytes()).is_ok())
}

/// The `__Host-` prefix (RFC 6265bis) keeps subdomains from setting the cookie, and needs https.
fn cookie_name(is_https: bool) -> &'static str {
    if is_https { "__Host-uptok_device" } else { "uptok_device" }
}

/// The value of the request's device cookie, or an empty text.
pub(crate) fn read_cookie(request: &HttpRequest, is_https: bool) -> String {
    request.cookie(cookie_name(is_https)).map(|cookie| cookie.value().to_owned()).unwrap_or_default()
}

/// The cookie with this value. Logging out does not remove it.
pub(crate) fn build_cookie(value: String, is_https: bool) -> Cookie<'static> {
    Cookie::build(cookie_name(is_https), value)
        .path("/")
        .max_age(Duration::days(ENTRY_DAYS))
        .http_only(true)
        .secure(is_https)
        .same_site(SameSite::Strict)
        .finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TODAY: i64 = 20_783;
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZSBzYWx0$aGFzaA";

    fn key(secret: &str) -> DeviceCookieKey {
        DeviceCookieKey::new(&InstallationSecret::new(secret.repeat(32).into()))
    }

    fn email(name: &str) -> EmailAddress {
        format!("{name}@example.org").parse().unwrap()
    }

    #[test]
    fn an_entry_is_found_by_its_account_for_a_year() {
        let value = key("a").add_entry("", &email("ada"), HASH, TODAY);
        let found = |name, today| key("a").find_entry(&value, &email(name), today).is_some();

        assert!(found("ada", TODAY) && found("ada", TODAY + 364) && found("ada", TODAY - 1));
        assert!(!found("ada", TODAY + 365));
        assert!(!found("eve", TODAY));
        assert!(key("b").find_entry(&value, &email("ada"), TODAY).is_none(), "of another installation");
    }

    #[test]
    fn an_entry_does_not_name_its_account() {
        let value = key("a").add_entry("", &email("somebody"), HASH, TODAY);

        assert!(!value.contains("somebody") && !value.contains("example"), "{value}");
    }

    #[test]
    fn an_entry_ends_with_the_password_hash() {
        let value = key("a").add_entry("", &email("ada"), HASH, TODAY);
        let entry = key("a").find_entry(&value, &email("ada"), TODAY).unwrap();

        assert!(key("a").has_same_password(&entry, HASH));
        assert!(!key("a").has_same_password(&entry, &HASH.replace("aGFzaA", "b3RoZXI")));
        assert!(!key("b").has_same_password(&entry, HASH));
    }

    #[test]
    fn a_login_replaces_its_own_entry_and_keeps_four_others() {
        let names = ["ada", "bea", "cleo", "dora", "eve", "fay"];
        let log_in = |value: String, name: &str| key("a").add_entry(&value, &email(name), HASH, TODAY);
        let value = names.iter().fold(String::new(), |value, name| log_in(value, name));
        let again = log_in(value.clone(), "dora");

        let known = |value: &str| -> Vec<&str> {
            let is_known = |name: &&str| key("a").find_entry(value, &email(name), TODAY).is_some();
            names.into_iter().filter(is_known).collect()
        };
        assert_eq!(known(&value), ["bea", "cleo", "dora", "eve", "fay"]);
        assert_eq!(known(&again), known(&value));
        assert_eq!(again.split(SEPARATOR).count(), ENTRIES_MAX);
        assert_ne!(again, value);
    }

    #[test]
    fn what_is_no_entry_is_not_copied() {
        let nonce = "n".repeat(22);
        let tag = "0".repeat(32);
        for text in [
            String::new(),
            format!("1.{nonce}.{tag}.{tag}\r\nSet-Cookie: a=b"),
            format!("1.{nonce}.{tag}.+{}", "0".repeat(31)),
            format!("+1.{nonce}.{tag}.{tag}"),
            format!("1.{nonce};.{tag}.{tag}"),
            format!("1.{nonce}.{tag}.{tag}.{tag}"),
            format!("1.{}.{tag}.{tag}", "n".repeat(4000)),
        ] {
            let value = key("a").add_entry(&text, &email("ada"), HASH, TODAY);
            assert_eq!(value.split(SEPARATOR).count(), 1, "{text:?}");
        }
        let other = format!("1.{nonce}.{tag}.{tag}");
        assert!(key("a").add_entry(&other, &email("ada"), HASH, TODAY).ends_with(&other));
    }

    proptest! {
        #[test]
        fn one_changed_character_is_noticed(position in 0_usize..94, letter in "[0-9a-zA-Z.]") {
            let value = key("a").add_entry("", &email("ada"), HASH, TODAY);
            let mut changed = value.clone();
            changed.replace_range(position..=position, &letter);
            let found = key("a").find_entry(&changed, &email("ada"), TODAY).is_some();
            prop_assert_eq!(found, changed == value);
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,200}") {
            prop_assert!(key("a").find_entry(&text, &email("ada"), TODAY).is_none());
        }
    }
}
