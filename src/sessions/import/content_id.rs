//! Sessions of a file that have neither the sender's id nor ours: what they say becomes their id, so that the same
//! file imported again changes nothing. Lines that say the same stay as many as they are.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::{
    ids::ClientId,
    sessions::record::{IncomingSession, SessionRecord},
};

/// How often each nameless record stood in a file so far, by the beginning of its fingerprint. Two records that begin
/// alike would only share their counting, and have ids of their own all the same.
#[derive(Debug, Default)]
pub(crate) struct ContentIds(HashMap<u64, u32>);

impl ContentIds {
    /// Gives the record an id, if it has none: of version 7, from its `createdAt`, the client, what it says and how
    /// often that was said before.
    pub(crate) fn name(&mut self, client: &ClientId, given: &mut IncomingSession) {
        if given.record.external_id.is_some() || given.session_id.is_some() {
            return;
        }
        let mut print = fingerprint(client, &given.record);
        let (start, _) = print.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let before = self.0.entry(u64::from_be_bytes(*start)).or_default();
        if *before > 0 {
            print = Sha256::new().chain_update(print).chain_update(before.to_be_bytes()).finalize().into();
        }
        *before += 1;
        given.session_id = Some(id(&given.record, &print));
    }
}

fn id(record: &SessionRecord, print: &[u8; 32]) -> Uuid {
    let (random, _) = print.split_first_chunk().unwrap_or((&[0; 10], &[]));
    let millis = u64::try_from(record.created_at.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, random).into_uuid()
}

/// SHA-256 over the client and the fields that the record has. A field that is added to the record one day changes
/// nothing for those that lack it.
pub(crate) fn fingerprint(client: &ClientId, record: &SessionRecord) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(client.as_str());
    for (name, text) in record.fingerprint_texts().filter(|(_, text)| !text.is_empty()) {
        // No text holds a NUL, so nothing can pass for something else.
        hash.update([0]);
        hash.update(name);
        hash.update([0]);
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(notes: &str) -> IncomingSession {
        let now = "2026-11-23T12:00:00Z".parse().unwrap();
        SessionRecord::parse(now, |name| match name {
            "status" => "missed",
            "channel" => "chat",
            "createdAt" | "endedAt" => "2026-11-23T10:00:00.123456Z",
            "notes" => notes,
            _ => "",
        })
        .unwrap()
    }

    fn ids(client: &str, notes: &[&str]) -> Vec<Uuid> {
        let client = client.parse().unwrap();
        let mut nameless = ContentIds::default();
        let named = |notes: &&str| {
            let mut given = given(notes);
            nameless.name(&client, &mut given);
            given.session_id.unwrap()
        };
        notes.iter().map(named).collect()
    }

    #[test]
    fn the_id_is_of_what_is_said_and_for_whom() {
        let first = ids("cl_0000000001", &["a", "b", "a", "a"]);
        assert_eq!(first, ids("cl_0000000001", &["a", "b", "a", "a"]));
        assert_eq!(first[0], ids("cl_0000000001", &["b", "a"])[1]);
        assert_ne!(first[0], ids("cl_0000000002", &["a"])[0]);
        let unlike: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(unlike.len(), 4);
    }

    #[test]
    fn the_id_is_of_version_seven_and_of_the_time_of_the_call() {
        let id = ids("cl_0000000001", &["a"])[0];
        assert_eq!(
            (id.get_version_num(), id.get_timestamp().unwrap().to_unix()),
            (7, (1_795_428_000, 123_000_000))
        );
        // Fixed for ever: another id would double what was imported.
        assert_eq!(id.to_string(), "01a207d9-217b-75cf-b3a7-bd7a0f168a98");
    }

    #[test]
    fn who_has_an_id_keeps_it() {
        let mut named = given("a");
        named.session_id = Some(Uuid::nil());
        ContentIds::default().name(&"cl_0000000001".parse().unwrap(), &mut named);
        assert_eq!(named.session_id, Some(Uuid::nil()));
    }
}
