-- Where tables are distributed, each server stores the counts of its own clients, also while another one is down. So it
-- needs a record of its own of what it has stored. Pages have free space for HOT updates.
create table shard_usage_batches (
    client_id text collate "C" not null,
    node_id   uuid not null,
    number    bigint not null,
    stored_at timestamptz not null default now(),
    primary key (client_id, node_id)
) with (fillfactor = 50);
comment on table shard_usage_batches is
    'As usage_batches, where tables are distributed by client: the last batch of counts that a node stored in a shard.';
comment on column shard_usage_batches.client_id is 'The first client of the batch. All clients of a batch are in one shard.';
comment on column shard_usage_batches.node_id is 'Identifies a process from its start to its end.';
comment on column shard_usage_batches.number is 'Increases with every batch of the node.';
