create index sessions_status_sequence on sessions (client_id, status, sequence);
create index sessions_channel_sequence on sessions (client_id, channel, sequence);
drop index sessions_walk;
