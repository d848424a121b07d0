-- Customer organisations, which own sessions, API keys and everything else with their client_id.
create table clients (
    client_id          text collate "C" primary key,
    name               text not null,
    created_at         timestamptz not null default now(),
    audited_from_start boolean not null default true,
    constraint clients_client_id_form check (client_id ~ '^cl_[0-9a-z]{10}$'),
    constraint clients_name_length check (char_length(name) between 1 and 120)
);
comment on table clients is 'Customer organisations. A client owns its sessions, its API keys and every other row with its client_id.';
comment on column clients.client_id is 'Public Client ID: cl_ and 10 characters of 0-9a-z. All tables that clients own can be distributed by it.';
comment on column clients.name is 'Company name, 1 to 120 characters.';
comment on column clients.audited_from_start is 'False if the client is older than its audit log, whose first record is then not about its first member.';
