//! Stores counts where tables are distributed: in a batch of its own for each shard, so that a server that is down delays
//! only the counts of its clients.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use uuid::Uuid;

use super::{
    meter::{UsageDeltas, UsageMeter},
    store::{self, UsageBatch},
};
use crate::{
    db::{
        Db,
        distribution::{ClientShard, locate_clients},
    },
    error::AppError,
};

/// A shard, after the server that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ServerShard {
    server: i32,
    number: i64,
}

/// What a flush needs.
#[derive(Clone, Copy)]
pub(super) struct FlushSource<'a> {
    pub(super) meter: &'a UsageMeter,
    pub(super) db: &'a Db,
    /// Unique per process.
    pub(super) node: Uuid,
}

/// The batches that servers have not confirmed. They may be stored already, so they are sent again unchanged.
#[derive(Default)]
pub(super) struct ShardBatches(BTreeMap<ServerShard, Arc<UsageBatch>>);

/// The flush of one second.
#[derive(Default)]
struct FlushRound {
    failed_servers: BTreeSet<i32>,
    first_error: Option<AppError>,
}

impl ShardBatches {
    /// Stores the new counts of every shard, then what could not be stored before. After a failure it skips the other
    /// shards of the same server: each could take until the deadline of a statement. Their counts stay in the meter.
    ///
    /// `last_number` is that of the last batch of this node.
    ///
    /// # Errors
    /// The first one. What it prevented from being stored is tried again by the next call.
    pub(super) async fn flush(
        &mut self,
        source: FlushSource<'_>,
        last_number: &mut i64,
    ) -> Result<(), AppError> {
        let mut round = FlushRound::default();
        let unconfirmed: Vec<ServerShard> = self.0.keys().copied().collect();
        for (shard, counts) in take_counts(source).await? {
            if self.0.keys().any(|it| it.number == shard.number) || round.has_failed(shard) {
                source.meter.put_back(counts);
                continue;
            }
            *last_number += 1;
            let batch = UsageBatch { node: source.node, number: *last_number, counts };
            self.0.insert(shard, Arc::new(batch));
            self.send(source.db, shard, &mut round).await;
        }
        for shard in unconfirmed {
            if !round.has_failed(shard) {
                self.send(source.db, shard, &mut round).await;
            }
        }
        round.first_error.map_or(Ok(()), Err)
    }

    async fn send(&mut self, db: &Db, shard: ServerShard, round: &mut FlushRound) {
        let Some(batch) = self.0.get(&shard).cloned() else { return };
        match db.run(move |connection| store::save_shard_batch(connection, &batch)).await {
            Ok(()) => drop(self.0.remove(&shard)),
            Err(error) => {
                round.failed_servers.insert(shard.server);
                round.first_error.get_or_insert(error);
            }
        }
    }
}

impl FlushRound {
    fn has_failed(&self, shard: ServerShard) -> bool {
        self.failed_servers.contains(&shard.server)
    }
}

/// The counts of each shard. If the shards are not known, the counts stay in the meter.
async fn take_counts(source: FlushSource<'_>) -> Result<BTreeMap<ServerShard, UsageDeltas>, AppError> {
    let counts = source.meter.take();
    if counts.is_empty() {
        return Ok(BTreeMap::new());
    }
    let clients: Vec<String> = counts.clients().into_iter().map(str::to_owned).collect();
    let located = source.db.run(move |connection| {
        locate_clients(connection, &clients.iter().map(String::as_str).collect::<Vec<_>>())
    });
    match located.await {
        Ok(located) => {
            let shards = list_shards(located);
            Ok(counts.split(|client| shards.get(client.as_str()).copied()))
        }
        Err(error) => {
            source.meter.put_back(counts);
            Err(error)
        }
    }
}

fn list_shards(located: Vec<ClientShard>) -> HashMap<String, ServerShard> {
    let shards = located.into_iter();
    shards.map(|it| (it.client_id, ServerShard { server: it.server, number: it.shard })).collect()
}
