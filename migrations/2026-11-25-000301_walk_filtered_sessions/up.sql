-- One covering index serves every filter in the order of recording; it replaces those on status and channel.
create index sessions_walk on sessions (client_id, sequence) include (created_at, updated_at, status, channel);
drop index sessions_status_sequence;
drop index sessions_channel_sequence;
