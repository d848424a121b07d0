-- What a filter matches is counted and walked in an index; see the cost in docs/api.md.
create index sessions_status_sequence on sessions (client_id, status, sequence);
create index sessions_channel_sequence on sessions (client_id, channel, sequence);
create index sessions_agent_sequence on sessions (client_id, agent_name, sequence) where agent_name is not null;
create index sessions_updated on sessions (client_id, updated_at, sequence);
