drop index sessions_updated;
drop index sessions_agent_sequence;
drop index sessions_channel_sequence;
drop index sessions_status_sequence;
