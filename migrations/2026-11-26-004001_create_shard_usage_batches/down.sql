drop table shard_usage_batches;
