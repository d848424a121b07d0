//! Ids for sessions in a file that have neither the sender's id nor ours. They are derived from the content,
//! so importing the same file again changes nothing. Equal lines get different ids and stay separate
//! sessions.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::{
    ids::ClientId,
    sessions::record::{IncomingSession, SessionRecord},
};

/// How often each record without an id has occurred in a file, by the first 8 bytes of its fingerprint. Different
/// records with the same 8 bytes share a count but still get different ids.
#[derive(Debug, Default)]
pub(crate) struct ContentIdAssigner(HashMap<u64, u32>);

impl ContentIdAssigner {
    /// Gives the record an id of version 7 if it has none: from its `createdAt`, the client, its content and the number
    /// of equal records before it.
    pub(crate) fn assign(&mut self, client: &ClientId, incoming: &mut IncomingSession) {
        if incoming.record.external_id.is_some() || incoming.session_id.is_some() {
            return;
        }
        let mut digest = fingerprint(client, &incoming.record);
        let (start, _) = digest.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let before = self.0.entry(u64::from_be_bytes(*start)).or_default();
        if *before > 0 {
            digest = Sha256::new().chain_update(digest).chain_update(before.to_be_bytes()).finalize().into();
        }
        *before += 1;
        incoming.session_id = Some(id_from_fingerprint(&incoming.record, &digest));
    }
}

fn id_from_fingerprint(record: &SessionRecord, fingerprint: &[u8; 32]) -> Uuid {
    let (random, _) = fingerprint.split_first_chunk().unwrap_or((&[0; 10], &[]));
    let millis = u64::try_from(record.created_at.timestamp_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, random).into_uuid()
}

/// SHA-256 over the client and the fields that are not null. A field added to the table later therefore does not change
/// the fingerprint of records without it.
pub(crate) fn fingerprint(client: &ClientId, record: &SessionRecord) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(client.as_str());
    for (name, text) in record.fingerprint_texts().filter(|(_, text)| !text.is_empty()) {
        // No text contains a NUL, so different fields cannot run together into the same bytes.
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

    fn incoming(notes: &str) -> IncomingSession {
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
        let mut content_ids = ContentIdAssigner::default();
        let named = |notes: &&str| {
            let mut incoming = incoming(notes);
            content_ids.assign(&client, &mut incoming);
            incoming.session_id.unwrap()
        };
        notes.iter().map(named).collect()
    }

    #[test]
    fn the_id_depends_on_content_client_and_occurrence() {
        let first = ids("cl_0000000001", &["a", "b", "a", "a"]);
        assert_eq!(first, ids("cl_0000000001", &["a", "b", "a", "a"]));
        assert_eq!(first[0], ids("cl_0000000001", &["b", "a"])[1]);
        assert_ne!(first[0], ids("cl_0000000002", &["a"])[0]);
        let unlike: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(unlike.len(), 4);
    }

    #[test]
    fn the_id_is_version_seven_with_the_time_of_the_call() {
        let id = ids("cl_0000000001", &["a"])[0];
        assert_eq!(
            (id.get_version_num(), id.get_timestamp().unwrap().to_unix()),
            (7, (1_795_428_000, 123_000_000))
        );
        // NEVER CHANGE: with another id, importing a file again would store it twice.
        assert_eq!(id.to_string(), "01a207d9-217b-75cf-b3a7-bd7a0f168a98");
    }

    #[test]
    fn a_record_with_an_id_keeps_it() {
        let mut named = incoming("a");
        named.session_id = Some(Uuid::nil());
        ContentIdAssigner::default().assign(&"cl_0000000001".parse().unwrap(), &mut named);
        assert_eq!(named.session_id, Some(Uuid::nil()));
    }
}
