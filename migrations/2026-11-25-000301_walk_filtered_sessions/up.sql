-- Any filter is walked in the order recorded without touching the table; what one value alone was found by goes.
create index sessions_walk on sessions (client_id, sequence) include (created_at, updated_at, status, channel);
drop index sessions_status_sequence;
drop index sessions_channel_sequence;
