//! The secret that an authenticator app shares with us, and the codes that both compute from it.

use chrono::{DateTime, Utc};
use totp_rs::{Builder, Secret, Totp};

use crate::random;

/// Bytes of a secret: 160 bits, as RFC 4226 recommends.
const LENGTH: usize = 20;
/// How many steps of 30 seconds the clocks may differ in either direction.
const DRIFT_STEPS: u16 = 1;
/// The name that the app shows beside the account.
const ISSUER: &str = "Uptok";

/// A secret. Its codes have 6 digits and change every 30 seconds (SHA-1), which is what every app supports.
pub(super) struct TotpSecret([u8; LENGTH]);

impl TotpSecret {
    /// A new secret.
    ///
    /// # Panics
    /// If the operating system provides no random bytes.
    pub(super) fn generate() -> Self {
        Self(random::bytes())
    }

    /// Returns `None` if the length is wrong.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The secret as users type it: 32 letters and digits (RFC 4648).
    pub(super) fn to_base32(&self) -> String {
        Secret::from(self.0).to_base32()
    }

    /// The address that apps read from the QR code: `otpauth://totp/Uptok:ada%40example.org?secret=…&issuer=Uptok`.
    pub(super) fn to_url(&self, email: &str) -> String {
        // A colon separates the issuer from the account.
        let account = email.replace(':', " ");
        self.totp(&account).to_url().expect("an account without a colon has an address")
    }

    /// The step whose code this is, as the number of 30 seconds since 1970. Takes the same time for every wrong code.
    pub(super) fn find_step(&self, code: &str, now: DateTime<Utc>) -> Option<i64> {
        let step = self.totp("").check(code, u64::try_from(now.timestamp()).ok()?)?;
        i64::try_from(step).ok()
    }

    fn totp(&self, account: &str) -> Totp {
        let builder = Builder::new().with_secret(self.0).with_skew(DRIFT_STEPS);
        let builder = builder.with_issuer(Some(ISSUER)).with_account_name(account);
        builder.build().expect("the secret is long enough, and neither name has a colon")
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    /// The secret of the test vectors in RFC 6238, appendix B.
    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // The last six of the eight digits in the standard.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret().find_step(code, at(seconds)), Some(seconds / 30), "{code}");
        }
    }

    #[test]
    fn clocks_may_differ_by_one_step_and_not_by_two() {
        let (code, now) = ("005924", at(1_234_567_890));
        let found = |steps: i64| secret().find_step(code, now + TimeDelta::seconds(30 * steps));

        assert_eq!([-2, -1, 0, 1, 2].map(|steps| found(steps).is_some()), [false, true, true, true, false]);
        assert_eq!(found(1), found(-1), "the step is that of the code");
    }

    #[test]
    fn anything_else_is_no_code() {
        for code in ["", "5924", "0005924", "+05924", "00592x", "００５９２４", "005925"] {
            assert_eq!(secret().find_step(code, at(1_234_567_890)), None, "{code}");
        }
        assert_eq!(secret().find_step("005924", at(-1)), None, "before 1970");
    }

    #[test]
    fn apps_get_the_secret_the_issuer_and_the_account() {
        let expected =
            "otpauth://totp/Uptok:ada%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Uptok";
        assert_eq!(secret().to_url("ada@example.org"), expected);
        assert_eq!(secret().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(secret().to_url("a:b@example.org").starts_with("otpauth://totp/Uptok:"));
        assert_ne!(TotpSecret::generate().to_base32(), TotpSecret::generate().to_base32());
    }
}
