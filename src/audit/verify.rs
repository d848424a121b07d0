//! Whether a chain is as it was written, and if not, the first record that is not.

use std::{fmt, str::FromStr};

use diesel::prelude::*;

use super::log::{
    chain::{ChainKey, START},
    event::EventKind,
    record::AuditRecord,
    store::{self, ChainHead},
};
use crate::{ids::ClientId, schema::clients, web::format::hex};

/// Records that are read at a time.
const CHUNK: i64 = 1000;

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tampering {
    /// A column of it is not as it was written.
    Changed,
    /// It is not there, while later ones are.
    Missing,
    /// It was written at this other sequence.
    Moved(i64),
    /// It was written for this other client.
    Copied(String),
    /// It is not there, and nothing after it.
    Cut,
    /// It is not what a client begins with, so what was before it is missing.
    NotFirst,
    /// It was put there behind the end of the chain.
    Surplus,
    /// What says that it is the last one is not as it was written.
    Head,
    /// It is another one than in an earlier print.
    OtherThanBefore,
}

impl fmt::Display for Tampering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => formatter.write_str("is not as it was written"),
            Self::Missing => formatter.write_str("is missing"),
            Self::Moved(from) => write!(formatter, "was written as record {from} and moved"),
            Self::Copied(from) => write!(formatter, "was copied from {from}"),
            Self::Cut => formatter.write_str("is missing, and so is what came after it"),
            Self::NotFirst => formatter.write_str("is not the first one: what came before it is missing"),
            Self::Surplus => formatter.write_str("was put there by somebody else"),
            Self::Head => formatter.write_str(
                "may not be the last one: its row in audit_heads is not as it was written, so what came after it may be missing",
            ),
            Self::OtherThanBefore => formatter.write_str("is not the one of the checkpoint"),
        }
    }
}

/// The first record of a client that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TamperedRecord {
    /// Where it stands, or should.
    pub sequence: i64,
    /// What is wrong with it.
    pub fault: Tampering,
}

impl fmt::Display for TamperedRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "record {} {}", self.sequence, self.fault)
    }
}

/// A record that is as it was written, by its sequence and hash; as text `cl_4f9k2m7qxw 17 3fe0…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose chain.
    pub client: ClientId,
    /// Which record of it; 0: there is none yet.
    pub sequence: i64,
    hash: String,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.client, self.sequence, self.hash)
    }
}

impl FromStr for Checkpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a checkpoint is a Client ID, a sequence and 64 hexadecimal digits";
        let words: Vec<&str> = text.split_whitespace().collect();
        let [client, sequence, hash] = words[..] else { return Err(FORM) };
        let is_hash = hash.len() == 2 * START.len() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match (client.parse(), sequence.parse()) {
            (Ok(client), Ok(sequence)) if is_hash => {
                Ok(Self { client, sequence, hash: hash.to_ascii_lowercase() })
            }
            _ => Err(FORM),
        }
    }
}

/// What became of verifying one client.
pub type VerificationResult = Result<Checkpoint, TamperedRecord>;

/// Every client, in their order.
///
/// # Errors
/// Those of the database.
pub fn clients(connection: &mut PgConnection) -> QueryResult<Vec<ClientId>> {
    let ids =
        clients::table.order(clients::client_id).select(clients::client_id).load::<String>(connection)?;
    Ok(ids.into_iter().map(ClientId::from_database).collect())
}

/// Walks the whole chain of a client, in one snapshot, and compares it with an earlier print. Gives its last record.
///
/// # Errors
/// Those of the database.
pub fn verify(
    connection: &mut PgConnection,
    chain: &ChainKey,
    client: &ClientId,
    earlier: Option<&Checkpoint>,
) -> QueryResult<VerificationResult> {
    connection.build_transaction().read_only().repeatable_read().run(|connection| {
        let mut walk = ChainVerifier::new(chain, client, store::is_from_start(connection, client)?);
        let mut after = i64::MIN;
        loop {
            let records = store::records_after(connection, client, after, CHUNK)?;
            let Some(last) = records.last() else { break };
            after = last.sequence;
            for record in &records {
                if let Err(touched) = walk.step(record) {
                    return explain(connection, &walk, record, touched).map(Err);
                }
                if let Some(touched) = walk.differs_from(earlier) {
                    return Ok(Err(touched));
                }
            }
        }
        let head = store::head(connection, client)?;
        Ok(walk.end(head.as_ref(), earlier))
    })
}

/// Whether a record that does not fit was taken from elsewhere.
fn explain(
    connection: &mut PgConnection,
    walk: &ChainVerifier<'_>,
    record: &AuditRecord,
    touched: TamperedRecord,
) -> QueryResult<TamperedRecord> {
    if touched.fault != Tampering::Changed {
        return Ok(touched);
    }
    if let Some(other) = store::other_owner(connection, walk.client, &record.hash)? {
        return Ok(TamperedRecord { fault: Tampering::Copied(other), ..touched });
    }
    let last = store::head(connection, walk.client)?.map_or(record.sequence, |head| head.sequence);
    Ok(match walk.written_at(record, last) {
        Some(from) => TamperedRecord { fault: Tampering::Moved(from), ..touched },
        None => touched,
    })
}

/// How far a chain is as it was written.
struct ChainVerifier<'a> {
    chain: &'a ChainKey,
    client: &'a ClientId,
    /// Whether the chain has to begin with the first member of the client.
    is_from_start: bool,
    sequence: i64,
    hash: Vec<u8>,
    seal: Vec<u8>,
}

impl<'a> ChainVerifier<'a> {
    fn new(chain: &'a ChainKey, client: &'a ClientId, is_from_start: bool) -> Self {
        Self { chain, client, is_from_start, sequence: 0, hash: START.to_vec(), seal: START.to_vec() }
    }

    /// Goes on to `record`, if it is the next one and as it was written.
    fn step(&mut self, record: &AuditRecord) -> Result<(), TamperedRecord> {
        let next = self.sequence + 1;
        if record.sequence > next {
            return Err(TamperedRecord { sequence: next, fault: Tampering::Missing });
        }
        if record.sequence < next {
            return Err(TamperedRecord { sequence: record.sequence, fault: Tampering::Surplus });
        }
        let is_next = record.client_id == self.client.as_str() && record.previous_hash == self.hash;
        if !is_next || self.chain.hash(&self.seal, record) != record.hash {
            return Err(TamperedRecord { sequence: next, fault: Tampering::Changed });
        }
        if next == 1 && self.is_from_start && record.act != EventKind::MemberAdded.as_str() {
            return Err(TamperedRecord { sequence: next, fault: Tampering::NotFirst });
        }
        self.sequence = next;
        self.seal = self.chain.seal(&record.hash);
        self.hash.clone_from(&record.hash);
        Ok(())
    }

    /// Whether the last step led to another record than there was earlier.
    fn differs_from(&self, earlier: Option<&Checkpoint>) -> Option<TamperedRecord> {
        let earlier = earlier.filter(|it| it.sequence == self.sequence && it.hash != hex(&self.hash))?;
        Some(TamperedRecord { sequence: earlier.sequence, fault: Tampering::OtherThanBefore })
    }

    /// Whether the chain ends where it says that it ends, and not before an earlier end.
    fn end(self, head: Option<&ChainHead>, earlier: Option<&Checkpoint>) -> VerificationResult {
        let touched = |sequence, fault| Err(TamperedRecord { sequence, fault });
        let last = self.sequence;
        let goes_on =
            earlier.is_some_and(|it| it.sequence > last) || head.is_some_and(|head| head.sequence > last);
        if goes_on || (last == 0 && self.is_from_start) {
            return touched(last + 1, Tampering::Cut);
        }
        match head {
            Some(head) if head.sequence < last => return touched(head.sequence + 1, Tampering::Surplus),
            Some(head) if head.hash != self.hash || head.seal != self.seal => {
                return touched(last, Tampering::Head);
            }
            None if last > 0 => return touched(last, Tampering::Head),
            _ => {}
        }
        Ok(Checkpoint { client: self.client.clone(), sequence: last, hash: hex(&self.hash) })
    }

    /// At which sequence up to `last` a record was written that does not fit where it stands.
    fn written_at(&self, record: &AuditRecord, last: i64) -> Option<i64> {
        let seal = self.chain.seal(&record.previous_hash);
        let mut moved = record.clone();
        (1..=last).find(|sequence| {
            moved.sequence = *sequence;
            *sequence != record.sequence && self.chain.hash(&seal, &moved) == record.hash
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

    /// So many records as they are written, and their head.
    fn written(count: i64) -> (Vec<AuditRecord>, ChainHead) {
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

    fn verdict(
        records: &[AuditRecord],
        head: Option<&ChainHead>,
        earlier: Option<&Checkpoint>,
    ) -> VerificationResult {
        let (chain, client) = (chain(), client());
        let mut walk = ChainVerifier::new(&chain, &client, false);
        for record in records {
            walk.step(record)?;
            if let Some(touched) = walk.differs_from(earlier) {
                return Err(touched);
            }
        }
        walk.end(head, earlier)
    }

    #[test]
    fn what_was_written_verifies_and_comes_back_from_its_print() {
        for count in 0..4 {
            let (records, head) = written(count);
            let last = verdict(&records, Some(&head), None).unwrap();
            assert_eq!(last.sequence, count);
            assert_eq!(last.to_string().parse(), Ok(last.clone()));
            assert_eq!(verdict(&records, Some(&head), Some(&last)), Ok(last));
        }
        for text in ["", "cl_4f9k2m7qxw 1", "cl_4f9k2m7qxw 1 zz", "cl_4f9k2m7qxw x 00"] {
            assert!(text.parse::<Checkpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_record_that_was_touched_is_named() {
        let (records, head) = written(5);
        let at = |sequence, fault| Err(TamperedRecord { sequence, fault });
        let mut changed = records.clone();
        changed[2].details = "{}".to_owned();
        assert_eq!(verdict(&changed, Some(&head), None), at(3, Tampering::Changed));
        let missing = [&records[..2], &records[3..]].concat();
        assert_eq!(verdict(&missing, Some(&head), None), at(3, Tampering::Missing));
        assert_eq!(verdict(&records[..3], Some(&head), None), at(4, Tampering::Cut));
        assert_eq!(verdict(&records, None, None), at(5, Tampering::Head));
    }

    #[test]
    fn a_head_that_was_set_back_is_found_out() {
        let (records, head) = written(5);
        let last = verdict(&records, Some(&head), None).unwrap();
        let set_back = ChainHead { sequence: 3, hash: records[2].hash.clone(), seal: head.seal.clone() };
        let at = |sequence, fault| Err(TamperedRecord { sequence, fault });
        assert_eq!(verdict(&records[..3], Some(&set_back), None), at(3, Tampering::Head));
        // With the seal of then, which only somebody with an old copy has, an earlier print tells.
        let (_, of_then) = written(3);
        assert!(verdict(&records[..3], Some(&of_then), None).is_ok());
        assert_eq!(verdict(&records[..3], Some(&of_then), Some(&last)), at(4, Tampering::Cut));
    }

    #[test]
    fn a_record_that_was_moved_tells_from_where() {
        let (records, _) = written(5);
        let (chain, client) = (chain(), client());
        let walk = ChainVerifier::new(&chain, &client, false);
        let mut moved = records[3].clone();
        moved.sequence = 2;
        assert_eq!(walk.written_at(&moved, 5), Some(4));
        assert_eq!(walk.written_at(&records[3], 5), None);
    }
}
