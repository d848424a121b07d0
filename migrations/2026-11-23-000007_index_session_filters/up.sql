-- Indexes for counting and paging filtered sessions; docs/api.md states the cost of each filter.
create index sessions_status_sequence on sessions (client_id, status, sequence);
create index sessions_channel_sequence on sessions (client_id, channel, sequence);
create index sessions_agent_sequence on sessions (client_id, agent_name, sequence) where agent_name is not null;
create index sessions_updated on sessions (client_id, updated_at, sequence);
