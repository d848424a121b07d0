//! Verifying a chain: finds the first record that was tampered with.

use std::{fmt, str::FromStr};

use diesel::prelude::*;

use super::log::{
    chain::{ChainKey, START},
    event::EventKind,
    record::AuditRecord,
    store::{self, ChainHead},
};
use crate::{ids::ClientId, schema::clients, web::format::hex};

/// Records per query.
const CHUNK: i64 = 1000;

/// How a record was tampered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// A column was changed.
    Changed,
    /// It was deleted, and later records exist.
    Missing,
    /// It was written with this sequence.
    Moved(i64),
    /// It was written for this client.
    Copied(String),
    /// It was deleted with all records after it.
    Cut,
    /// It cannot be the first record of a client, so earlier ones were deleted.
    NotFirst,
    /// It was added after the end of the chain.
    Surplus,
    /// The head of the chain was changed.
    Head,
    /// It differs from the checkpoint.
    OtherThanBefore,
}

impl fmt::Display for Tampering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => formatter.write_str("was changed after it was written"),
            Self::Missing => formatter.write_str("is missing"),
            Self::Moved(from) => write!(formatter, "was written as record {from} and moved"),
            Self::Copied(from) => write!(formatter, "was copied from {from}"),
            Self::Cut => formatter.write_str("and all later records are missing"),
            Self::NotFirst => formatter.write_str("is not the first: earlier records are missing"),
            Self::Surplus => formatter.write_str("was not written by Uptok"),
            Self::Head => formatter.write_str(
                "may not be the last: its row in audit_heads was changed, so later records may be missing",
            ),
            Self::OtherThanBefore => formatter.write_str("differs from the checkpoint"),
        }
    }
}

/// The first record that was tampered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TamperedRecord {
    /// Its sequence, or that of the missing record.
    pub sequence: i64,
    /// How it was tampered with.
    pub fault: Tampering,
}

impl fmt::Display for TamperedRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "record {} {}", self.sequence, self.fault)
    }
}

/// The sequence and hash of a verified record. As text: `cl_4f9k2m7qxw 17 3fe0…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainCheckpoint {
    /// The owner of the chain.
    pub client: ClientId,
    /// 0 if there is no record yet.
    pub sequence: i64,
    hash: String,
}

impl fmt::Display for ChainCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.client, self.sequence, self.hash)
    }
}

impl FromStr for ChainCheckpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORMAT: &str = "a checkpoint is a Client ID, a sequence and 64 hexadecimal digits";
        let words: Vec<&str> = text.split_whitespace().collect();
        let [client, sequence, hash] = words[..] else { return Err(FORMAT) };
        let is_hash = hash.len() == 2 * START.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (client.parse(), sequence.parse()) {
            (Ok(client), Ok(sequence)) if is_hash => {
                Ok(Self { client, sequence, hash: hash.to_ascii_lowercase() })
            }
            _ => Err(FORMAT),
        }
    }
}

/// The last record of a chain, or the first one that was tampered with.
pub type VerificationResult = Result<ChainCheckpoint, TamperedRecord>;

/// All clients, ordered by id.
///
/// # Errors
/// If the database fails.
pub fn clients(connection: &mut PgConnection) -> QueryResult<Vec<ClientId>> {
    clients::table.order(clients::client_id).select(clients::client_id).load(connection)
}

/// Verifies the whole chain of a client in one snapshot, and compares it with an earlier checkpoint.
///
/// # Errors
/// If the database fails.
pub fn verify(
    connection: &mut PgConnection,
    chain_key: &ChainKey,
    client: &ClientId,
    checkpoint: Option<&ChainCheckpoint>,
) -> QueryResult<VerificationResult> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let mut verifier = ChainVerifier::new(chain_key, client, store::is_from_start(connection, client)?);
        let mut after = i64::MIN;
        loop {
            let records = store::load_after(connection, client, after, CHUNK)?;
            let Some(last) = records.last() else { break };
            after = last.sequence;
            for record in &records {
                if let Err(tampered) = verifier.step(record) {
                    return explain(connection, &verifier, record, tampered).map(Err);
                }
                if let Some(tampered) = verifier.differs_from(checkpoint) {
                    return Ok(Err(tampered));
                }
            }
        }
        let head = store::load_head(connection, client)?;
        Ok(verifier.end(head.as_ref(), checkpoint))
    })
}

/// Finds out whether a changed record was copied or moved.
fn explain(
    connection: &mut PgConnection,
    verifier: &ChainVerifier<'_>,
    record: &AuditRecord,
    tampered: TamperedRecord,
) -> QueryResult<TamperedRecord> {
    if tampered.fault != Tampering::Changed {
        return Ok(tampered);
    }
    if let Some(other) = store::find_other_owner(connection, verifier.client, &record.hash)? {
        return Ok(TamperedRecord { fault: Tampering::Copied(other), ..tampered });
    }
    let last = store::load_head(connection, verifier.client)?.map_or(record.sequence, |head| head.sequence);
    Ok(match verifier.original_sequence(record, last) {
        Some(from) => TamperedRecord { fault: Tampering::Moved(from), ..tampered },
        None => tampered,
    })
}

/// The verified part of a chain.
struct ChainVerifier<'a> {
    chain_key: &'a ChainKey,
    client: &'a ClientId,
    /// Whether the first record must be about the first member of the client.
    is_from_start: bool,
    sequence: i64,
    hash: Vec<u8>,
    seal: Vec<u8>,
}

impl<'a> ChainVerifier<'a> {
    fn new(chain_key: &'a ChainKey, client: &'a ClientId, is_from_start: bool) -> Self {
        Self { chain_key, client, is_from_start, sequence: 0, hash: START.to_vec(), seal: START.to_vec() }
    }

    /// Verifies the next record.
    fn step(&mut self, record: &AuditRecord) -> Result<(), TamperedRecord> {
        let next = self.sequence + 1;
        if record.sequence > next {
            return Err(TamperedRecord { sequence: next, fault: Tampering::Missing });
        }
        if record.sequence < next {
            return Err(TamperedRecord { sequence: record.sequence, fault: Tampering::Surplus });
        }
        let is_next = record.client_id == self.client.as_str() && record.previous_hash == self.hash;
        if !is_next || self.chain_key.hash(&self.seal, record) != record.hash {
            return Err(TamperedRecord { sequence: next, fault: Tampering::Changed });
        }
        if next == 1 && self.is_from_start && record.act != EventKind::MemberAdded.as_str() {
            return Err(TamperedRecord { sequence: next, fault: Tampering::NotFirst });
        }
        self.sequence = next;
        self.seal = self.chain_key.seal(&record.hash);
        self.hash.clone_from(&record.hash);
        Ok(())
    }

    /// Compares the last verified record with the checkpoint, if that is about it.
    fn differs_from(&self, checkpoint: Option<&ChainCheckpoint>) -> Option<TamperedRecord> {
        let checkpoint =
            checkpoint.filter(|it| it.sequence == self.sequence && it.hash != hex(&self.hash))?;
        Some(TamperedRecord { sequence: checkpoint.sequence, fault: Tampering::OtherThanBefore })
    }

    /// Verifies that the chain ends at its head, and not before the checkpoint.
    fn end(self, head: Option<&ChainHead>, checkpoint: Option<&ChainCheckpoint>) -> VerificationResult {
        let tampered = |sequence, fault| Err(TamperedRecord { sequence, fault });
        let last = self.sequence;
        let has_more =
            checkpoint.is_some_and(|it| it.sequence > last) || head.is_some_and(|head| head.sequence > last);
        if has_more || (last == 0 && self.is_from_start) {
            return tampered(last + 1, Tampering::Cut);
        }
        match head {
            Some(head) if head.sequence < last => return tampered(head.sequence + 1, Tampering::Surplus),
            Some(head) if head.hash != self.hash || head.seal != self.seal => {
                return tampered(last, Tampering::Head);
            }
            None if last > 0 => return tampered(last, Tampering::Head),
            _ => {}
        }
        Ok(ChainCheckpoint { client: self.client.clone(), sequence: last, hash: hex(&self.hash) })
    }

    /// The sequence up to `last` at which a moved record was written.
    fn original_sequence(&self, record: &AuditRecord, last: i64) -> Option<i64> {
        let seal = self.chain_key.seal(&record.previous_hash);
        let mut moved = record.clone();
        (1..=last).find(|sequence| {
            moved.sequence = *sequence;
            *sequence != record.sequence && self.chain_key.hash(&seal, &moved) == record.hash
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::log::chain::tests::{chain, sample},
        *,
    };

    fn client() -> ClientId {
        "cl_4f9k2m7qxw".parse().unwrap()
    }

    /// A chain of this many records, and its head.
    fn build_chain(count: i64) -> (Vec<AuditRecord>, ChainHead) {
        let chain = chain();
        let mut head = ChainHead { sequence: 0, hash: START.to_vec(), seal: START.to_vec() };
        let records = (1..=count).map(|sequence| {
            let mut record = sample(sequence);
            record.previous_hash.clone_from(&head.hash);
            record.hash = chain.hash(&head.seal, &record);
            head = ChainHead { sequence, hash: record.hash.clone(), seal: chain.seal(&record.hash) };
            record
        });
        (records.collect(), head)
    }

    fn verify_records(
        records: &[AuditRecord],
        head: Option<&ChainHead>,
        checkpoint: Option<&ChainCheckpoint>,
    ) -> VerificationResult {
        let (chain, client) = (chain(), client());
        let mut verifier = ChainVerifier::new(&chain, &client, false);
        for record in records {
            verifier.step(record)?;
            if let Some(tampered) = verifier.differs_from(checkpoint) {
                return Err(tampered);
            }
        }
        verifier.end(head, checkpoint)
    }

    #[test]
    fn what_was_written_verifies_and_round_trips_as_a_checkpoint() {
        for count in 0..4 {
            let (records, head) = build_chain(count);
            let last = verify_records(&records, Some(&head), None).unwrap();
            assert_eq!(last.sequence, count);
            assert_eq!(last.to_string().parse(), Ok(last.clone()));
            assert_eq!(verify_records(&records, Some(&head), Some(&last)), Ok(last));
        }
        for text in ["", "cl_4f9k2m7qxw 1", "cl_4f9k2m7qxw 1 zz", "cl_4f9k2m7qxw x 00"] {
            assert!(text.parse::<ChainCheckpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_record_that_was_tampered_is_named() {
        let (records, head) = build_chain(5);
        let at = |sequence, fault| Err(TamperedRecord { sequence, fault });
        let mut changed = records.clone();
        changed[2].details = "{}".to_owned();
        assert_eq!(verify_records(&changed, Some(&head), None), at(3, Tampering::Changed));
        let missing = [&records[..2], &records[3..]].concat();
        assert_eq!(verify_records(&missing, Some(&head), None), at(3, Tampering::Missing));
        assert_eq!(verify_records(&records[..3], Some(&head), None), at(4, Tampering::Cut));
        assert_eq!(verify_records(&records, None, None), at(5, Tampering::Head));
    }

    #[test]
    fn a_head_that_was_set_back_is_found_out() {
        let (records, head) = build_chain(5);
        let last = verify_records(&records, Some(&head), None).unwrap();
        let set_back = ChainHead { sequence: 3, hash: records[2].hash.clone(), seal: head.seal.clone() };
        let at = |sequence, fault| Err(TamperedRecord { sequence, fault });
        assert_eq!(verify_records(&records[..3], Some(&set_back), None), at(3, Tampering::Head));
        // An old copy of the database has an old seal. Only a checkpoint reveals that.
        let (_, old_head) = build_chain(3);
        assert!(verify_records(&records[..3], Some(&old_head), None).is_ok());
        assert_eq!(verify_records(&records[..3], Some(&old_head), Some(&last)), at(4, Tampering::Cut));
    }

    #[test]
    fn the_original_sequence_of_a_moved_record_is_found() {
        let (records, _) = build_chain(5);
        let (chain, client) = (chain(), client());
        let verifier = ChainVerifier::new(&chain, &client, false);
        let mut moved = records[3].clone();
        moved.sequence = 2;
        assert_eq!(verifier.original_sequence(&moved, 5), Some(4));
        assert_eq!(verifier.original_sequence(&records[3], 5), None);
    }
}
