//! The chain of records: HMAC-SHA-256 (RFC 2104) under a key that is not in the database.
//!
//! The hash of a record covers the *seal* of the previous one, and a seal is derived from a hash. Only the last seal is
//! stored, in the head of the chain. Someone who cuts off the end of the log knows the hash of the record that is then
//! the last, but not its seal.
//!
//! NEVER CHANGE WHAT IS HASHED: every existing record would count as tampered with. A new format needs a new label, and
//! a column that names the format of each record.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::record::AuditRecord;
use crate::{
    ids::ClientId,
    secret::{DerivedKeyPurpose, InstallationSecret},
    web::format::hex,
};

/// Hash and seal before the first record.
pub(crate) const START: [u8; 32] = [0; 32];
/// Pseudonyms are truncated to this many bytes (128 bits).
const PSEUDONYM_LENGTH: usize = 16;

/// The key of all chains of this installation.
#[derive(Clone)]
pub struct ChainKey {
    mac: Hmac<Sha256>,
}

/// Prints no key.
impl fmt::Debug for ChainKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ChainKey")
    }
}

impl ChainKey {
    /// Derives the key from the secret.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    #[must_use]
    pub fn new(secret: &InstallationSecret) -> Self {
        let mac = Hmac::new_from_slice(&secret.derive(DerivedKeyPurpose::AuditLog))
            .expect("HMAC takes a key of any length");
        Self { mac }
    }

    /// The hash of a record that follows the one with this seal. It covers every column but the hash itself.
    pub(crate) fn hash(&self, seal: &[u8], record: &AuditRecord) -> Vec<u8> {
        self.begin("uptok audit record v1")
            .part(seal)
            .part(&record.previous_hash)
            .part(record.client_id.as_bytes())
            .part(&record.sequence.to_be_bytes())
            .part(&record.at.timestamp_micros().to_be_bytes())
            .part(record.actor_kind.as_bytes())
            .optional(record.actor.as_deref().map(str::as_bytes))
            .part(record.act.as_bytes())
            .optional(record.target.as_deref().map(str::as_bytes))
            .optional(record.related.as_deref().map(str::as_bytes))
            .part(record.details.as_bytes())
            .optional(record.address.map(|it| it.to_string()).as_deref().map(str::as_bytes))
            .optional(record.request_id.as_ref().map(|id| id.as_bytes().as_slice()))
            .end()
    }

    /// The seal of the record with this hash.
    pub(crate) fn seal(&self, hash: &[u8]) -> Vec<u8> {
        if hash == START { START.to_vec() } else { self.begin("uptok audit seal v1").part(hash).end() }
    }

    /// 32 hexadecimal digits that replace a text that must not be kept. Equal texts of a client have equal pseudonyms,
    /// which reveal nothing without the key.
    #[must_use]
    pub fn pseudonym(&self, client: &ClientId, text: &str) -> String {
        let hash =
            self.begin("uptok audit pseudonym v1").part(client.as_str().as_bytes()).part(text.as_bytes());
        hex(&hash.end()[..PSEUDONYM_LENGTH])
    }

    fn begin(&self, label: &str) -> ChainHasher {
        ChainHasher(self.mac.clone()).part(label.as_bytes())
    }
}

/// Input of a hash. Each part follows its length, so that parts cannot be shifted into each other.
struct ChainHasher(Hmac<Sha256>);

impl ChainHasher {
    fn part(mut self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("a part in memory has a length of 64 bits");
        self.0.update(&length.to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// `None` and an empty part hash differently.
    fn optional(mut self, bytes: Option<&[u8]>) -> Self {
        self.0.update(&[u8::from(bytes.is_some())]);
        match bytes {
            Some(bytes) => self.part(bytes),
            None => self,
        }
    }

    fn end(self) -> Vec<u8> {
        self.0.finalize().into_bytes().to_vec()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    pub(in crate::audit) fn chain() -> ChainKey {
        ChainKey::new(&InstallationSecret::new("0123456789abcdef0123456789abcdef".into()))
    }

    pub(in crate::audit) fn sample(sequence: i64) -> AuditRecord {
        AuditRecord {
            client_id: "cl_4f9k2m7qxw".to_owned(),
            sequence,
            at: "2026-11-25T10:45:06.123456Z".parse().unwrap(),
            actor_kind: "user".to_owned(),
            actor: Some("019aa5c0-0000-7000-8000-000000000001".to_owned()),
            act: "key.created".to_owned(),
            target: Some("uptok_000000000000".to_owned()),
            related: None,
            details: r#"{"name":"laptop"}"#.to_owned(),
            address: Some("192.0.2.7/32".parse().unwrap()),
            request_id: Some(Uuid::from_u128(7)),
            previous_hash: START.to_vec(),
            hash: Vec::new(),
        }
    }

    /// Computed by another program. NEVER CHANGE: the format is the same in every version.
    #[test]
    fn hash_and_seal_are_those_of_the_first_version() {
        let hash = chain().hash(&START, &sample(1));
        assert_eq!(hex(&hash), "03bd8075f9f8f3d160fa65a92eb424391e12a2f16a25243f6e12e6f0a58231f1");
        assert_eq!(
            hex(&chain().seal(&hash)),
            "3ef286876b4cdb2b82259b734fe2a3f01b9f745785d81b7c346d6809f84fc592"
        );
        assert_eq!(chain().seal(&START), START);
    }

    #[test]
    fn no_column_can_change_without_the_hash() {
        let chain = chain();
        let record = sample(1);
        let hash = chain.hash(&START, &record);
        let changes: [fn(&mut AuditRecord); 13] = [
            |it| it.client_id = "cl_4f9k2m7qxx".to_owned(),
            |it| it.sequence = 2,
            |it| it.at += chrono::TimeDelta::microseconds(1),
            |it| it.actor_kind = "key".to_owned(),
            |it| it.actor = None,
            |it| it.act = "key.deleted".to_owned(),
            |it| it.target = None,
            |it| it.related = Some(String::new()),
            |it| it.details = r#"{"name":"laptoq"}"#.to_owned(),
            |it| it.address = Some("192.0.2.7/31".parse().unwrap()),
            |it| it.address = None,
            |it| it.request_id = Some(Uuid::from_u128(8)),
            |it| it.previous_hash[31] = 1,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = record.clone();
            change(&mut other);
            assert_ne!(chain.hash(&START, &other), hash, "change {index}");
        }
        assert_ne!(chain.hash(&[1; 32], &record), hash, "the record before");
    }

    #[test]
    fn pseudonyms_differ_by_text_and_by_client() {
        let chain = chain();
        let [one, two] = ["cl_0000000001", "cl_0000000002"].map(|id| id.parse().unwrap());
        assert_eq!(chain.pseudonym(&one, "nora").len(), 32);
        assert_eq!(chain.pseudonym(&one, "nora"), chain.pseudonym(&one, "nora"));
        assert_ne!(chain.pseudonym(&one, "nora"), chain.pseudonym(&two, "nora"));
        assert_ne!(chain.pseudonym(&one, "nora"), chain.pseudonym(&one, "norb"));
    }

    proptest! {
        #[test]
        fn text_cannot_move_from_one_column_to_the_next(text in "[a-z]{1,8}", split in 0_usize..8) {
            let split = split.min(text.len());
            let with = |target: &str, related: &str| {
                let mut record = sample(1);
                record.target = Some(target.to_owned());
                record.related = Some(related.to_owned());
                chain().hash(&START, &record)
            };
            let (left, right) = text.split_at(split);
            prop_assert_eq!(with(left, right) == with(&text, ""), right.is_empty());
        }
    }
}
