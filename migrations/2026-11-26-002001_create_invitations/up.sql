-- Invitations to become a member of a client. Accepting or withdrawing one deletes its row.
create table invitations (
    invitation_id uuid primary key,
    client_id     text collate "C" not null,
    email         text collate "C" not null,
    role          text not null,
    token_hash    bytea not null,
    invited_by    uuid references users (user_id) on delete set null,
    created_at    timestamptz not null default now(),
    expires_at    timestamptz not null,
    constraint invitations_client_email_unique unique (client_id, email),
    constraint invitations_token_hash_unique unique (token_hash),
    constraint invitations_email_length check (char_length(email) between 3 and 254),
    constraint invitations_role check (role in ('owner', 'admin', 'member')),
    constraint invitations_token_hash_length check (octet_length(token_hash) = 32)
);
create index invitations_invited_by on invitations (invited_by);
comment on table invitations is 'Invitations to become a member of a client, looked up by their link. Deleted when accepted or withdrawn.';
comment on column invitations.client_id is 'No foreign key: a local table cannot reference clients once that is distributed.';
comment on column invitations.email is 'The only address that can accept: lower case, NFC, 3 to 254 characters.';
comment on column invitations.role is 'The role of the future member.';
comment on column invitations.token_hash is 'SHA-256 of the random token in the link, 32 bytes. A new link replaces it.';
comment on column invitations.invited_by is 'The user who sent it; null: the command line did, or the user is gone.';
comment on column invitations.expires_at is 'From then on the link does not work: 7 days after it was made.';
