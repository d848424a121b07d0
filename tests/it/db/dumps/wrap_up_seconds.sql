-- The same database with the migration 2026-11-26-000901_add_wrap_up_seconds.
SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.refuse_to_change_audit_log() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    raise exception 'the audit log is only ever added to' using errcode = 'insufficient_privilege';
end
$$;
CREATE FUNCTION public.refuse_to_set_back_audit_heads() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if tg_op = 'UPDATE' then
        if new.client_id = old.client_id and new.sequence in (old.sequence, old.sequence + 1) then
            return new;
        end if;
    end if;
    raise exception 'the head of an audit log only goes on to the next record' using errcode = 'insufficient_privilege';
end
$$;
CREATE TABLE public.__diesel_schema_migrations (
    version character varying(50) NOT NULL,
    run_on timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
CREATE TABLE public.api_key_directory (
    public_key text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL COLLATE pg_catalog."C"
);
COMMENT ON TABLE public.api_key_directory IS 'Which client a public key belongs to. Rows are never changed or deleted: a public key is never reused.';
CREATE TABLE public.api_keys (
    client_id text NOT NULL COLLATE pg_catalog."C",
    public_key text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    secret_hash bytea,
    hash_version smallint DEFAULT 1 NOT NULL,
    form_nonce text COLLATE pg_catalog."C",
    created_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_by uuid,
    deleted_at timestamp with time zone,
    scopes text[] DEFAULT '{sessions:read}'::text[] NOT NULL,
    expires_at timestamp with time zone,
    replaced_by text COLLATE pg_catalog."C",
    requests_per_minute integer DEFAULT 600 NOT NULL,
    allowed_networks cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    created_by_key text COLLATE pg_catalog."C",
    deleted_by_key text COLLATE pg_catalog."C",
    expiry_noted_at timestamp with time zone,
    CONSTRAINT api_keys_allowed_networks_count CHECK ((cardinality(allowed_networks) <= 50)),
    CONSTRAINT api_keys_deleted_is_shredded CHECK (((deleted_at IS NULL) = (secret_hash IS NOT NULL))),
    CONSTRAINT api_keys_form_nonce_length CHECK (((char_length(form_nonce) >= 1) AND (char_length(form_nonce) <= 64))),
    CONSTRAINT api_keys_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 64))),
    CONSTRAINT api_keys_public_key_form CHECK ((public_key ~ '^uptok_[0-9A-Za-z]{12}$'::text)),
    CONSTRAINT api_keys_replaced_expires CHECK (((replaced_by IS NULL) OR (expires_at IS NOT NULL))),
    CONSTRAINT api_keys_requests_per_minute_range CHECK (((requests_per_minute >= 0) AND (requests_per_minute <= 1000000))),
    CONSTRAINT api_keys_scopes_known CHECK ((scopes <@ ARRAY['sessions:read'::text, 'sessions:write'::text, 'keys:manage'::text])),
    CONSTRAINT api_keys_scopes_not_empty CHECK ((cardinality(scopes) >= 1)),
    CONSTRAINT api_keys_secret_hash_length CHECK ((octet_length(secret_hash) = 32))
);
COMMENT ON TABLE public.api_keys IS 'What a program presents. The key itself is shown once and never stored.';
COMMENT ON COLUMN public.api_keys.public_key IS 'uptok_ and 12 characters of 0-9A-Za-z: what lists, logs and addresses show. Never reused.';
COMMENT ON COLUMN public.api_keys.name IS '1 to 64 characters, NFC, unique among the living keys of a client.';
COMMENT ON COLUMN public.api_keys.secret_hash IS 'HMAC-SHA-256, 32 bytes; null once the key is deleted, so that no change of deleted_at revives it.';
COMMENT ON COLUMN public.api_keys.hash_version IS 'How secret_hash was made. 1: HMAC-SHA-256 under the key derived from UPTOK_SECRET.';
COMMENT ON COLUMN public.api_keys.form_nonce IS 'The form this key came from: a double click or reload makes one key.';
COMMENT ON COLUMN public.api_keys.created_by IS 'The user who generated it. No foreign key: users are not distributed by client.';
COMMENT ON COLUMN public.api_keys.scopes IS 'What the key may do; what is not named here is denied.';
COMMENT ON COLUMN public.api_keys.expires_at IS 'From this time on the key is refused, by the clock of the database; null: it does not expire.';
COMMENT ON COLUMN public.api_keys.replaced_by IS 'The public key of the key that replaced this one, which lives on until expires_at; null: not replaced.';
COMMENT ON COLUMN public.api_keys.requests_per_minute IS 'Requests per minute, 0 to 1000000; 0: no limit.';
COMMENT ON COLUMN public.api_keys.allowed_networks IS 'Networks from which the key may be used, at most 50; none: from everywhere.';
COMMENT ON COLUMN public.api_keys.created_by_key IS 'The public key of the key that made this one through the API; null: a user or the command line did.';
COMMENT ON COLUMN public.api_keys.deleted_by_key IS 'The public key of the key that deleted this one through the API; null: a user or the command line did.';
COMMENT ON COLUMN public.api_keys.expiry_noted_at IS 'When its expiry was written to the audit log; null: not yet, or it did not expire.';
CREATE TABLE public.audit_heads (
    client_id text NOT NULL COLLATE pg_catalog."C",
    sequence bigint DEFAULT 0 NOT NULL,
    hash bytea DEFAULT decode(repeat('00'::text, 32), 'hex'::text) NOT NULL,
    seal bytea DEFAULT decode(repeat('00'::text, 32), 'hex'::text) NOT NULL,
    CONSTRAINT audit_heads_hash_length CHECK ((octet_length(hash) = 32)),
    CONSTRAINT audit_heads_seal_length CHECK ((octet_length(seal) = 32)),
    CONSTRAINT audit_heads_sequence_range CHECK ((sequence >= 0))
);
COMMENT ON TABLE public.audit_heads IS 'Where the audit log of a client ends. Whoever adds a record locks the row until commit, after everything else it locks.';
COMMENT ON COLUMN public.audit_heads.sequence IS 'The sequence of the last record, and so their number; 0: there is none.';
COMMENT ON COLUMN public.audit_heads.hash IS 'The hash of the last record: 32 bytes; zeros: there is none.';
COMMENT ON COLUMN public.audit_heads.seal IS 'HMAC-SHA-256 over hash: 32 bytes. The next record is hashed over it, and it stands nowhere else, so that nobody can set the row back.';
CREATE TABLE public.audit_log (
    client_id text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    actor_kind text NOT NULL COLLATE pg_catalog."C",
    actor text COLLATE pg_catalog."C",
    act text NOT NULL COLLATE pg_catalog."C",
    target text COLLATE pg_catalog."C",
    related text COLLATE pg_catalog."C",
    details text NOT NULL,
    address inet,
    request_id uuid,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_log_act_form CHECK ((act ~ '^[a-z_]+[.][a-z_]+$'::text)),
    CONSTRAINT audit_log_actor_kind CHECK ((actor_kind = ANY (ARRAY['user'::text, 'key'::text, 'command_line'::text, 'system'::text, 'visitor'::text]))),
    CONSTRAINT audit_log_actor_named CHECK (((actor IS NOT NULL) = (actor_kind = ANY (ARRAY['user'::text, 'key'::text])))),
    CONSTRAINT audit_log_details_length CHECK ((octet_length(details) <= 16384)),
    CONSTRAINT audit_log_details_object CHECK ((jsonb_typeof((details)::jsonb) = 'object'::text)),
    CONSTRAINT audit_log_hash_length CHECK ((octet_length(hash) = 32)),
    CONSTRAINT audit_log_previous_hash_length CHECK ((octet_length(previous_hash) = 32)),
    CONSTRAINT audit_log_sequence_range CHECK ((sequence >= 1))
);
COMMENT ON TABLE public.audit_log IS 'Who did what. Rows are only ever added, in the transaction of what they tell, and each is hashed over the one before.';
COMMENT ON COLUMN public.audit_log.sequence IS '1, 2, 3 … per client, without gaps.';
COMMENT ON COLUMN public.audit_log.at IS 'When it was written, by the clock of the database; in the order of sequence.';
COMMENT ON COLUMN public.audit_log.actor_kind IS 'user: logged in; key: a program; command_line: whoever runs uptok; system: uptok by itself; visitor: nobody we know.';
COMMENT ON COLUMN public.audit_log.actor IS 'The user_id or the public key. No foreign key: a record outlives whom it names.';
COMMENT ON COLUMN public.audit_log.act IS 'What happened: key.created, sign_in.failed, …';
COMMENT ON COLUMN public.audit_log.target IS 'To what it happened: a public key, a user_id, an import; null: to the client.';
COMMENT ON COLUMN public.audit_log.related IS 'The other thing it is about: the public key of a replacement.';
COMMENT ON COLUMN public.audit_log.details IS 'A JSON object of texts, as the bytes that were hashed. Never a secret, never what tells of a shopper.';
COMMENT ON COLUMN public.audit_log.address IS 'Where the request came from; null: it was none, or that is not known.';
COMMENT ON COLUMN public.audit_log.request_id IS 'As in X-Request-Id and in the log.';
COMMENT ON COLUMN public.audit_log.previous_hash IS 'The hash of the record before: 32 bytes; zeros: this is the first.';
COMMENT ON COLUMN public.audit_log.hash IS 'HMAC-SHA-256 over the seal of the record before and every other column: 32 bytes.';
CREATE TABLE public.clients (
    client_id text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    audited_from_start boolean DEFAULT true NOT NULL,
    CONSTRAINT clients_client_id_form CHECK ((client_id ~ '^cl_[0-9a-z]{10}$'::text)),
    CONSTRAINT clients_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 120)))
);
COMMENT ON TABLE public.clients IS 'Customer organisations. A client owns sessions and API keys. Not audited_from_start: it is older than its audit log, whose first record then need not tell of its first member.';
COMMENT ON COLUMN public.clients.client_id IS 'Public Client ID: cl_ and 10 characters of 0-9a-z. The distribution column of every client-owned table.';
COMMENT ON COLUMN public.clients.name IS 'Company name, 1 to 120 characters.';
CREATE TABLE public.idempotency_keys (
    client_id text NOT NULL COLLATE pg_catalog."C",
    idempotency_key text NOT NULL COLLATE pg_catalog."C",
    fingerprint bytea NOT NULL,
    answer text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_fingerprint_length CHECK ((octet_length(fingerprint) = 32)),
    CONSTRAINT idempotency_keys_length CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 255)))
);
COMMENT ON TABLE public.idempotency_keys IS 'Answers to POST /api/sessions with an Idempotency-Key, replayed for 24 hours.';
COMMENT ON COLUMN public.idempotency_keys.fingerprint IS 'SHA-256 of the request: 32 bytes. Another request under the same key is refused.';
COMMENT ON COLUMN public.idempotency_keys.answer IS 'The body of the first answer, whose status was 200.';
CREATE TABLE public.import_bad_lines (
    client_id text NOT NULL COLLATE pg_catalog."C",
    import_id uuid NOT NULL,
    number integer NOT NULL,
    line bigint NOT NULL,
    field text NOT NULL,
    message text NOT NULL
);
COMMENT ON TABLE public.import_bad_lines IS 'What is wrong in the first lines that were left out.';
COMMENT ON COLUMN public.import_bad_lines.number IS '0, 1, 2 … in the order of the file.';
COMMENT ON COLUMN public.import_bad_lines.line IS 'The number of the line in the file, from 1.';
CREATE TABLE public.import_chunks (
    client_id text NOT NULL COLLATE pg_catalog."C",
    import_id uuid NOT NULL,
    number integer NOT NULL,
    bytes bytea NOT NULL,
    CONSTRAINT import_chunks_length CHECK (((octet_length(bytes) >= 1) AND (octet_length(bytes) <= 1048576)))
);
COMMENT ON TABLE public.import_chunks IS 'What was uploaded. Deleted when the import is over, or after 24 hours.';
COMMENT ON COLUMN public.import_chunks.number IS '0, 1, 2 … in the file.';
CREATE TABLE public.imports (
    client_id text NOT NULL COLLATE pg_catalog."C",
    import_id uuid NOT NULL,
    file_name text NOT NULL,
    is_json boolean DEFAULT false NOT NULL,
    mapping text[],
    state text NOT NULL COLLATE pg_catalog."C",
    bytes bigint DEFAULT 0 NOT NULL,
    chunks integer DEFAULT 0 NOT NULL,
    chunks_done integer DEFAULT 0 NOT NULL,
    created bigint DEFAULT 0 NOT NULL,
    updated bigint DEFAULT 0 NOT NULL,
    unchanged bigint DEFAULT 0 NOT NULL,
    rejected bigint DEFAULT 0 NOT NULL,
    failure text,
    created_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    worker uuid,
    heartbeat_at timestamp with time zone,
    CONSTRAINT imports_file_name_length CHECK (((char_length(file_name) >= 1) AND (char_length(file_name) <= 255))),
    CONSTRAINT imports_mapping_not_null CHECK ((array_position(mapping, NULL::text) IS NULL)),
    CONSTRAINT imports_state CHECK ((state = ANY (ARRAY['uploading'::text, 'mapping'::text, 'checking'::text, 'checked'::text, 'importing'::text, 'done'::text, 'failed'::text, 'discarded'::text])))
);
COMMENT ON TABLE public.imports IS 'Files of sessions that were uploaded to be imported, and how far that is.';
COMMENT ON COLUMN public.imports.is_json IS 'NDJSON, not CSV.';
COMMENT ON COLUMN public.imports.mapping IS 'Which column of the record each column of the CSV is, the empty text for none; null: not said yet.';
COMMENT ON COLUMN public.imports.bytes IS 'The size of the file.';
COMMENT ON COLUMN public.imports.chunks IS 'Chunks of the file, each at most 1 MiB.';
COMMENT ON COLUMN public.imports.chunks_done IS 'Chunks that were gone through in this state; stored with what they held.';
COMMENT ON COLUMN public.imports.failure IS 'Why it failed, as a sentence.';
COMMENT ON COLUMN public.imports.created_by IS 'The user who uploaded it.';
COMMENT ON COLUMN public.imports.worker IS 'The process that goes through it; another may when heartbeat_at is old.';
CREATE TABLE public.key_errors (
    client_id text NOT NULL COLLATE pg_catalog."C",
    request_id uuid NOT NULL,
    public_key text NOT NULL COLLATE pg_catalog."C",
    answered_at timestamp with time zone NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    status smallint NOT NULL,
    code text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT key_errors_status_range CHECK (((status >= 400) AND (status <= 599)))
);
COMMENT ON TABLE public.key_errors IS 'The last 100 requests of each client that were answered with an error.';
COMMENT ON COLUMN public.key_errors.request_id IS 'X-Request-Id of the answer: UUID version 7, in the order of time.';
COMMENT ON COLUMN public.key_errors.status IS 'HTTP status, 400 to 599.';
COMMENT ON COLUMN public.key_errors.code IS 'The code of the problem: invalid_field.';
CREATE TABLE public.key_last_uses (
    client_id text NOT NULL COLLATE pg_catalog."C",
    public_key text NOT NULL COLLATE pg_catalog."C",
    used_at timestamp with time zone NOT NULL,
    address inet NOT NULL,
    user_agent text,
    CONSTRAINT key_last_uses_user_agent_length CHECK (((char_length(user_agent) >= 1) AND (char_length(user_agent) <= 200)))
)
WITH (fillfactor='50');
COMMENT ON TABLE public.key_last_uses IS 'When, from where and with which program each key was last used. No row: never.';
COMMENT ON COLUMN public.key_last_uses.user_agent IS 'The User-Agent, without control and invisible characters, at most 200 characters; null: none was sent.';
CREATE TABLE public.key_usage (
    client_id text NOT NULL COLLATE pg_catalog."C",
    public_key text NOT NULL COLLATE pg_catalog."C",
    hour timestamp with time zone NOT NULL,
    endpoint text NOT NULL COLLATE pg_catalog."C",
    status_class smallint NOT NULL,
    requests bigint NOT NULL,
    CONSTRAINT key_usage_hour_whole CHECK ((mod((EXTRACT(epoch FROM hour))::bigint, (3600)::bigint) = 0)),
    CONSTRAINT key_usage_requests_range CHECK ((requests > 0)),
    CONSTRAINT key_usage_status_class_known CHECK (((status_class >= 2) AND (status_class <= 5)))
)
WITH (fillfactor='70');
COMMENT ON TABLE public.key_usage IS 'How many requests each key made: by hour, endpoint and class of the answer. Kept for 400 days.';
COMMENT ON COLUMN public.key_usage.hour IS 'Begin of the hour in which the answer began, by the clock of the node.';
COMMENT ON COLUMN public.key_usage.endpoint IS 'Method and pattern of the address: GET /api/sessions.';
COMMENT ON COLUMN public.key_usage.status_class IS 'First digit of the HTTP status: 2, 3, 4 or 5.';
COMMENT ON COLUMN public.key_usage.requests IS 'Requests, 1 or more.';
CREATE TABLE public.memberships (
    client_id text NOT NULL COLLATE pg_catalog."C",
    user_id uuid NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT memberships_role CHECK ((role = ANY (ARRAY['owner'::text, 'admin'::text, 'member'::text])))
);
COMMENT ON TABLE public.memberships IS 'Which user belongs to which client.';
COMMENT ON COLUMN public.memberships.role IS 'owner and admin make keys; member reads.';
CREATE TABLE public.questions (
    question_id uuid NOT NULL,
    name text NOT NULL,
    email text NOT NULL,
    question text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT questions_email_length CHECK (((char_length(email) >= 3) AND (char_length(email) <= 254))),
    CONSTRAINT questions_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 120))),
    CONSTRAINT questions_question_length CHECK (((char_length(question) >= 1) AND (char_length(question) <= 5000)))
);
COMMENT ON TABLE public.questions IS 'Questions from the form on /docs, to be answered within a business day.';
COMMENT ON COLUMN public.questions.question IS '1 to 5000 characters.';
CREATE TABLE public.session_counters (
    client_id text NOT NULL COLLATE pg_catalog."C",
    recorded bigint DEFAULT 0 NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    CONSTRAINT session_counters_recorded_range CHECK ((recorded >= 0))
);
COMMENT ON TABLE public.session_counters IS 'One row per client. Whoever records sessions locks it until commit: sequences are dense, in the order of commits.';
COMMENT ON COLUMN public.session_counters.recorded IS 'Sessions recorded for this client, and so the highest sequence.';
COMMENT ON COLUMN public.session_counters.revision IS 'Grows with every change of the client''s sessions. An answer made at a revision holds as long as it is the current one.';
CREATE TABLE public.session_days (
    client_id text NOT NULL COLLATE pg_catalog."C",
    day date NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    sessions bigint NOT NULL,
    CONSTRAINT session_days_sessions_range CHECK ((sessions >= 0))
);
COMMENT ON TABLE public.session_days IS 'How many sessions a client has, by what most filters ask for. Changed in the transaction that changes the sessions, under the lock of session_counters.';
COMMENT ON COLUMN public.session_days.day IS 'The day of created_at in UTC.';
COMMENT ON COLUMN public.session_days.sessions IS 'Sessions of that day, status and channel; 0 after the last was changed into another.';
CREATE TABLE public.sessions (
    client_id text NOT NULL COLLATE pg_catalog."C",
    sequence bigint NOT NULL,
    session_id uuid NOT NULL,
    external_id text,
    status text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL COLLATE pg_catalog."C",
    source text,
    queue_name text,
    agent_name text,
    agent_email text,
    shopper_id text,
    shopper_name text,
    shopper_email text,
    shopper_phone text,
    shopper_country text,
    page_url text,
    created_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone NOT NULL,
    wait_seconds integer,
    duration_seconds integer,
    rating smallint,
    rating_comment text,
    notes text,
    order_id text,
    order_value_minor bigint,
    currency text,
    recording_url text,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    erased_at timestamp with time zone,
    sender_updated_at timestamp with time zone,
    wrap_up_seconds integer,
    CONSTRAINT sessions_channel CHECK ((channel = ANY (ARRAY['video'::text, 'audio'::text, 'chat'::text]))),
    CONSTRAINT sessions_currency_form CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT sessions_duration_seconds_range CHECK ((duration_seconds >= 0)),
    CONSTRAINT sessions_external_id_length CHECK (((char_length(external_id) >= 1) AND (char_length(external_id) <= 255))),
    CONSTRAINT sessions_page_url_length CHECK ((char_length(page_url) <= 2048)),
    CONSTRAINT sessions_rating_range CHECK (((rating >= 1) AND (rating <= 5))),
    CONSTRAINT sessions_sequence_range CHECK ((sequence >= 1)),
    CONSTRAINT sessions_shopper_country_form CHECK ((shopper_country ~ '^[A-Z]{2}$'::text)),
    CONSTRAINT sessions_source_length CHECK ((char_length(source) <= 64)),
    CONSTRAINT sessions_status CHECK ((status = ANY (ARRAY['completed'::text, 'missed'::text, 'abandoned'::text, 'declined'::text, 'failed'::text]))),
    CONSTRAINT sessions_tags_not_null CHECK ((array_position(tags, NULL::text) IS NULL)),
    CONSTRAINT sessions_times_in_order CHECK (((created_at <= ended_at) AND ((started_at IS NULL) OR ((created_at <= started_at) AND (started_at <= ended_at))))),
    CONSTRAINT sessions_wait_seconds_range CHECK ((wait_seconds >= 0))
);
COMMENT ON TABLE public.sessions IS 'Recorded calls. Rows are never deleted: erasing blanks the personal fields, so pages never shift.';
COMMENT ON COLUMN public.sessions.sequence IS '1, 2, 3 … per client, without gaps, in the order recorded.';
COMMENT ON COLUMN public.sessions.session_id IS 'UUID version 7, ours.';
COMMENT ON COLUMN public.sessions.external_id IS 'The sender''s own id, at most 255 characters; null: the sender has none.';
COMMENT ON COLUMN public.sessions.source IS 'widget, link, qr, phone …; at most 64 characters; null: unknown.';
COMMENT ON COLUMN public.sessions.shopper_phone IS 'E.164; null: not given, or erased.';
COMMENT ON COLUMN public.sessions.shopper_country IS 'ISO 3166-1 alpha-2; null: not given, or erased.';
COMMENT ON COLUMN public.sessions.page_url IS 'Where the call began, at most 2048 characters; null: unknown.';
COMMENT ON COLUMN public.sessions.created_at IS 'The call entered the queue.';
COMMENT ON COLUMN public.sessions.started_at IS 'Agent and shopper connected; null: never connected.';
COMMENT ON COLUMN public.sessions.wait_seconds IS 'Seconds from created_at to started_at or the end; null: unknown.';
COMMENT ON COLUMN public.sessions.duration_seconds IS 'Seconds from started_at to ended_at; null: never connected.';
COMMENT ON COLUMN public.sessions.rating IS 'Stars, 1 to 5; null: not given.';
COMMENT ON COLUMN public.sessions.order_value_minor IS 'Minor units of currency (cents …); null: no order known.';
COMMENT ON COLUMN public.sessions.currency IS 'ISO 4217; null: no order known.';
COMMENT ON COLUMN public.sessions.recorded_at IS 'When we stored the session.';
COMMENT ON COLUMN public.sessions.updated_at IS 'When we last changed it.';
COMMENT ON COLUMN public.sessions.erased_at IS 'When the personal fields were erased; null: not erased.';
COMMENT ON COLUMN public.sessions.sender_updated_at IS 'When the sender last changed its record, as it said; null: it did not say. An older record never overwrites a newer one.';
COMMENT ON COLUMN public.sessions.wrap_up_seconds IS 'Seconds the agent spent on the call after it ended; null: unknown.';
CREATE TABLE public.sign_ins (
    id_hash bytea NOT NULL,
    user_id uuid NOT NULL,
    client_id text NOT NULL COLLATE pg_catalog."C",
    flash text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    CONSTRAINT sign_ins_id_hash_length CHECK ((octet_length(id_hash) = 32))
);
COMMENT ON TABLE public.sign_ins IS 'Browsers that are logged in. Joined to users and memberships on every request.';
COMMENT ON COLUMN public.sign_ins.id_hash IS 'SHA-256 of the random id in the cookie: 32 bytes.';
COMMENT ON COLUMN public.sign_ins.client_id IS 'The active client.';
COMMENT ON COLUMN public.sign_ins.flash IS 'One message for the next page, shown once.';
COMMENT ON COLUMN public.sign_ins.last_seen_at IS 'Written at most once a minute. Idle for 12 hours: the sign-in is over.';
COMMENT ON COLUMN public.sign_ins.ends_at IS 'The sign-in is over at this time whatever happens: 7 days after logging in.';
CREATE TABLE public.usage_batches (
    node_id uuid NOT NULL,
    number bigint NOT NULL,
    stored_at timestamp with time zone DEFAULT now() NOT NULL
);
COMMENT ON TABLE public.usage_batches IS 'The last batch of counts that each running node has stored, in the transaction that stored it: one that is sent again counts once.';
COMMENT ON COLUMN public.usage_batches.node_id IS 'A process, from its start to its end.';
COMMENT ON COLUMN public.usage_batches.number IS 'Batches of a node are 1, 2, 3 …';
CREATE TABLE public.users (
    user_id uuid NOT NULL,
    email text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT users_email_length CHECK (((char_length(email) >= 3) AND (char_length(email) <= 254))),
    CONSTRAINT users_name_length CHECK (((char_length(name) >= 1) AND (char_length(name) <= 120)))
);
COMMENT ON TABLE public.users IS 'People who sign in.';
COMMENT ON COLUMN public.users.email IS 'Lower-cased and NFC, 3 to 254 characters (RFC 5321). What a person signs in with.';
COMMENT ON COLUMN public.users.password_hash IS 'argon2id in PHC string format. Never a password.';
COMMENT ON COLUMN public.users.disabled_at IS 'Not null: the user may not sign in, and open sign-ins end with the next request.';
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000001', '2026-11-26 06:39:42.840706');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000002', '2026-11-26 06:39:42.850404');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000003', '2026-11-26 06:39:42.854351');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000004', '2026-11-26 06:39:42.861429');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000005', '2026-11-26 06:39:42.863207');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000006', '2026-11-26 06:39:42.864333');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261123000007', '2026-11-26 06:39:42.867028');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000001', '2026-11-26 06:39:42.868902');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000002', '2026-11-26 06:39:42.872425');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000201', '2026-11-26 06:39:42.875976');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000202', '2026-11-26 06:39:42.8768');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000301', '2026-11-26 06:39:42.883593');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000601', '2026-11-26 06:39:42.884781');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000701', '2026-11-26 06:39:42.891792');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000702', '2026-11-26 06:39:42.900438');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261125000703', '2026-11-26 06:39:42.901347');
INSERT INTO public.__diesel_schema_migrations VALUES ('20261126000901', '2026-11-26 06:39:47.480066');
INSERT INTO public.api_key_directory VALUES ('uptok_83YBeCwKA2Uy', 'cl_ak9fkb92vv');
INSERT INTO public.api_key_directory VALUES ('uptok_qTbjEDRFYFoi', 'cl_ak9fkb92vv');
INSERT INTO public.api_keys VALUES ('cl_ak9fkb92vv', 'uptok_83YBeCwKA2Uy', 'Shop; "quoted"', '\xb9f94da4efa55eb4c73601220b360f829a2ee236c11b4642684f26a5ba48cefc', 1, NULL, NULL, '2026-11-26 06:39:43.105748+00', NULL, NULL, '{sessions:read,sessions:write}', '2027-02-24 06:39:43.105748+00', NULL, 600, '{}', NULL, NULL, NULL);
INSERT INTO public.api_keys VALUES ('cl_ak9fkb92vv', 'uptok_qTbjEDRFYFoi', 'Old', NULL, 1, NULL, NULL, '2026-11-26 06:39:43.164707+00', NULL, '2026-11-26 06:39:43.203753+00', '{sessions:read}', '2027-02-24 06:39:43.164707+00', NULL, 600, '{}', NULL, NULL, NULL);
INSERT INTO public.audit_heads VALUES ('cl_ak9fkb92vv', 8, '\xf8525a8a16c1bc5255048bab41b330d3009a783e9775d378796c4a11edda01c9', '\x02731956d4f9cdac54f5ceb4d331c96cb59ffeff1212c2ce3606dabb132b5d3b');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 1, '2026-11-26 06:39:42.917764+00', 'command_line', NULL, 'member.added', '01a21694-d743-76ba-ad19-8d2e01b63e7b', NULL, '{"role":"owner"}', NULL, NULL, '\x0000000000000000000000000000000000000000000000000000000000000000', '\xfd6982b7fc97fae1355b61719c93d25c3ed5d13a669174e647dd8174090dfd48');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 2, '2026-11-26 06:39:43.068337+00', 'command_line', NULL, 'member.added', '01a21694-d7d7-76ca-a142-f1e31cbd2935', NULL, '{"role":"member"}', NULL, NULL, '\xfd6982b7fc97fae1355b61719c93d25c3ed5d13a669174e647dd8174090dfd48', '\x509db67774d16f7497a5d73a097f1f5ba7016ee08a6e4dccd9d21012bc87c862');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 3, '2026-11-26 06:39:43.112717+00', 'command_line', NULL, 'key.created', 'uptok_83YBeCwKA2Uy', NULL, '{"allowedNetworks":"all","expires":"2027-02-24T06:39:43.105748Z","name":"Shop; \"quoted\"","requestsPerMinute":"600","scopes":"sessions:read sessions:write"}', NULL, NULL, '\x509db67774d16f7497a5d73a097f1f5ba7016ee08a6e4dccd9d21012bc87c862', '\x90f3043dc39012d2fa343ef519a56357ab5f3269dbef936c298ffd8efaf4df39');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 4, '2026-11-26 06:39:43.170911+00', 'command_line', NULL, 'key.created', 'uptok_qTbjEDRFYFoi', NULL, '{"allowedNetworks":"all","expires":"2027-02-24T06:39:43.164707Z","name":"Old","requestsPerMinute":"600","scopes":"sessions:read"}', NULL, NULL, '\x90f3043dc39012d2fa343ef519a56357ab5f3269dbef936c298ffd8efaf4df39', '\x633319e00fad82ea3d3008f7b4afff33231e8721a98308cf3ab29dc216b6bc35');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 5, '2026-11-26 06:39:43.209068+00', 'command_line', NULL, 'key.deleted', 'uptok_qTbjEDRFYFoi', NULL, '{"name":"Old"}', NULL, NULL, '\x633319e00fad82ea3d3008f7b4afff33231e8721a98308cf3ab29dc216b6bc35', '\xb7be0b148246836f0e3c058998ed7afbe6ac91135442c8babba75d7ecaa7391c');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 6, '2026-11-26 06:39:43.248887+00', 'command_line', NULL, 'import.finished', NULL, NULL, '{"created":"4","rejected":"0","unchanged":"0","updated":"0"}', NULL, NULL, '\xb7be0b148246836f0e3c058998ed7afbe6ac91135442c8babba75d7ecaa7391c', '\xaf3315f0ed6f26bfe25bcee2fb2d851f7de1f5b5300c383ca9aeafd01b033559');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 7, '2026-11-26 06:39:43.421313+00', 'user', '01a21694-d743-76ba-ad19-8d2e01b63e7b', 'sign_in.succeeded', '01a21694-d743-76ba-ad19-8d2e01b63e7b', NULL, '{}', '127.0.0.1', '01a21694-d90c-7502-9a8d-e4923b4b1b4f', '\xaf3315f0ed6f26bfe25bcee2fb2d851f7de1f5b5300c383ca9aeafd01b033559', '\x4b313aa16be56b842c4ca8871a11d415f8366713f1b93d83c6245a8367e5bbf9');
INSERT INTO public.audit_log VALUES ('cl_ak9fkb92vv', 8, '2026-11-26 06:39:43.489849+00', 'visitor', NULL, 'sign_in.failed', '01a21694-d743-76ba-ad19-8d2e01b63e7b', NULL, '{}', '127.0.0.1', '01a21694-d94d-7715-bf8d-e5860ff67856', '\x4b313aa16be56b842c4ca8871a11d415f8366713f1b93d83c6245a8367e5bbf9', '\xf8525a8a16c1bc5255048bab41b330d3009a783e9775d378796c4a11edda01c9');
INSERT INTO public.clients VALUES ('cl_ak9fkb92vv', 'Möbel Blau', '2026-11-26 06:39:42.912282+00', true);
INSERT INTO public.idempotency_keys VALUES ('cl_ak9fkb92vv', 'first', '\x99943ec2c86103e25638def9219ce971ce6695ce74b0573ffc94c4a2145cf534', '{"created":1,"updated":0,"unchanged":0,"rejected":0,"results":[{"index":0,"externalId":"call-5","sessionId":"01a21694-d9a7-710e-b277-4287d6487243","outcome":"created"}]}', '2026-11-26 06:39:43.524521+00');
INSERT INTO public.import_bad_lines VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 0, 2, 'status', 'Use one of completed, missed, abandoned, declined, failed.');
INSERT INTO public.import_bad_lines VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 1, 2, 'channel', 'Use one of video, audio, chat.');
INSERT INTO public.import_bad_lines VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 2, 2, 'createdAt', 'Give the time, like 2026-11-23T10:45:06Z.');
INSERT INTO public.import_bad_lines VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 3, 2, 'endedAt', 'Give the time, like 2026-11-23T10:45:06Z.');
INSERT INTO public.import_chunks VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 0, '\x7b2265787465726e616c4964223a2263616c6c2d36222c22737461747573223a22636f6d706c65746564222c226368616e6e656c223a22766964656f222c22637265617465644174223a22323032362d31312d30345431303a30303a30305a222c22656e6465644174223a22323032362d31312d30345431303a31303a30305a227d0a7b2265787465726e616c4964223a2263616c6c2d37222c22737461747573223a226e6f7468696e67227d0a');
INSERT INTO public.import_chunks VALUES ('cl_ak9fkb92vv', '01a21694-d9e6-7105-9ee0-4cd9377aa559', 0, '\x65787465726e616c49642c7374617475732c6368616e6e656c2c6372656174656441742c7374617274656441742c656e64656441742c6167656e744e616d652c73686f707065724e616d652c73686f7070657250686f6e652c726174696e672c746167732c6e6f7465730a63616c6c2d312c636f6d706c657465642c766964656f2c323032362d31312d30315431303a30303a30305a2c323032362d31312d30315431303a30313a30305a2c323032362d31312d30315431303a30393a30305a2cc3846e6e652c4f27486172612c2b343933303132333435362c352c7669707c6e65772c2254776f206c696e65730a616e642061203b20696e207468652074657874220a63616c6c2d322c6d69737365642c617564696f2c323032362d31312d30315431313a30303a30305a2c2c323032362d31312d30315431313a30323a30305a2c2c2c2c2c2c0a63616c6c2d332c636f6d706c657465642c766964656f2c323032362d31312d30325431303a30303a30305a2c323032362d31312d30325431303a30313a30305a2c323032362d31312d30325431303a30393a30305a2cc3846e6e652c4576652c2c342c2c2d2d206e6f74206120636f6d6d656e740a63616c6c2d342c6162616e646f6e65642c636861742c323032362d31312d30325432333a35393a35395a2c2c323032362d31312d30335430303a30313a30305a2c2c2c2c2c2c0a');
INSERT INTO public.imports VALUES ('cl_ak9fkb92vv', '01a21694-d9d4-7724-a075-bc987f754df4', 'more.ndjson', true, NULL, 'checked', 174, 1, 1, 1, 0, 0, 1, NULL, '01a21694-d743-76ba-ad19-8d2e01b63e7b', '2026-11-26 06:39:43.572447+00', NULL, '01a21694-d8b2-7787-860c-dc539c23b9dd', '2026-11-26 06:39:43.580548+00');
INSERT INTO public.imports VALUES ('cl_ak9fkb92vv', '01a21694-d9e6-7105-9ee0-4cd9377aa559', 'calls.csv', false, NULL, 'checked', 517, 1, 1, 0, 0, 4, 0, NULL, '01a21694-d743-76ba-ad19-8d2e01b63e7b', '2026-11-26 06:39:43.590814+00', NULL, '01a21694-d8b2-7787-860c-dc539c23b9dd', '2026-11-26 06:39:43.593653+00');
INSERT INTO public.key_errors VALUES ('cl_ak9fkb92vv', '01a21694-d9c3-731a-a1f8-9982ae3f065f', 'uptok_83YBeCwKA2Uy', '2026-11-26 06:39:43.556197+00', 'GET /api/sessions', 400, 'invalid_field');
INSERT INTO public.key_last_uses VALUES ('cl_ak9fkb92vv', 'uptok_83YBeCwKA2Uy', '2026-11-26 06:39:43.556197+00', '127.0.0.1', 'curl/7.88.1');
INSERT INTO public.key_usage VALUES ('cl_ak9fkb92vv', 'uptok_83YBeCwKA2Uy', '2026-11-26 06:00:00+00', 'GET /api/sessions', 2, 1);
INSERT INTO public.key_usage VALUES ('cl_ak9fkb92vv', 'uptok_83YBeCwKA2Uy', '2026-11-26 06:00:00+00', 'GET /api/sessions', 4, 1);
INSERT INTO public.key_usage VALUES ('cl_ak9fkb92vv', 'uptok_83YBeCwKA2Uy', '2026-11-26 06:00:00+00', 'POST /api/sessions', 2, 1);
INSERT INTO public.memberships VALUES ('cl_ak9fkb92vv', '01a21694-d743-76ba-ad19-8d2e01b63e7b', 'owner', '2026-11-26 06:39:42.912282+00');
INSERT INTO public.memberships VALUES ('cl_ak9fkb92vv', '01a21694-d7d7-76ca-a142-f1e31cbd2935', 'member', '2026-11-26 06:39:43.062381+00');
INSERT INTO public.questions VALUES ('01a21694-d993-75f8-b064-e319b1369ed9', 'Eve', 'eve@example.com', 'Does it; work?', '2026-11-26 06:39:43.507689+00');
INSERT INTO public.session_counters VALUES ('cl_ak9fkb92vv', 5, 2);
INSERT INTO public.session_days VALUES ('cl_ak9fkb92vv', '2026-11-01', 'completed', 'video', 1);
INSERT INTO public.session_days VALUES ('cl_ak9fkb92vv', '2026-11-01', 'missed', 'audio', 1);
INSERT INTO public.session_days VALUES ('cl_ak9fkb92vv', '2026-11-02', 'abandoned', 'chat', 1);
INSERT INTO public.session_days VALUES ('cl_ak9fkb92vv', '2026-11-02', 'completed', 'video', 1);
INSERT INTO public.session_days VALUES ('cl_ak9fkb92vv', '2026-11-03', 'completed', 'video', 1);
INSERT INTO public.sessions VALUES ('cl_ak9fkb92vv', 2, '01a21694-d88c-73ac-a7a9-3d8c4fc37db9', 'call-2', 'missed', 'audio', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-01 11:00:00+00', NULL, '2026-11-01 11:02:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 06:39:43.24379+00', '2026-11-26 06:39:43.24379+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('cl_ak9fkb92vv', 3, '01a21694-d88c-73ac-a7a9-3d8d3d536a99', 'call-3', 'completed', 'video', NULL, NULL, 'Änne', NULL, NULL, 'Eve', NULL, NULL, NULL, NULL, '2026-11-02 10:00:00+00', '2026-11-02 10:01:00+00', '2026-11-02 10:09:00+00', NULL, NULL, 4, NULL, '-- not a comment', NULL, NULL, NULL, NULL, '{}', '2026-11-26 06:39:43.24379+00', '2026-11-26 06:39:43.24379+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('cl_ak9fkb92vv', 4, '01a21694-d88c-73ac-a7a9-3d8e1ce7e6f0', 'call-4', 'abandoned', 'chat', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-02 23:59:59+00', NULL, '2026-11-03 00:01:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 06:39:43.24379+00', '2026-11-26 06:39:43.24379+00', NULL, NULL, NULL);
INSERT INTO public.sessions VALUES ('cl_ak9fkb92vv', 5, '01a21694-d9a7-710e-b277-4287d6487243', 'call-5', 'completed', 'video', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '2026-11-03 10:00:00+00', '2026-11-03 10:00:30+00', '2026-11-03 10:10:00+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 06:39:43.524521+00', '2026-11-26 06:39:43.524521+00', NULL, '2026-11-03 10:10:01+00', NULL);
INSERT INTO public.sessions VALUES ('cl_ak9fkb92vv', 1, '01a21694-d88c-73ac-a7a9-3d8b9bc09c40', 'call-1', 'completed', 'video', NULL, NULL, 'Änne', NULL, NULL, 'O''Hara', NULL, '+4930123456', NULL, NULL, '2026-11-01 10:00:00+00', '2026-11-01 10:01:00+00', '2026-11-01 10:09:00+00', NULL, NULL, 5, NULL, 'Two lines
and a ; in the text', NULL, NULL, NULL, NULL, '{vip|new}', '2026-11-26 06:39:43.24379+00', '2026-11-26 06:39:43.24379+00', NULL, NULL, 40);
INSERT INTO public.sign_ins VALUES ('\x7b56dc82b3a8a8540684aeb3602eb99cddcb605a47f8d49b8166eb3f843a0436', '01a21694-d743-76ba-ad19-8d2e01b63e7b', 'cl_ak9fkb92vv', NULL, '2026-11-26 06:39:43.417612+00', '2026-11-26 06:39:43.417612+00', '2026-12-03 06:39:43.417612+00');
INSERT INTO public.usage_batches VALUES ('01a21694-d8b2-7787-860c-dc54cd1c9f30', 1, '2026-11-26 06:39:44.355822+00');
INSERT INTO public.users VALUES ('01a21694-d743-76ba-ad19-8d2e01b63e7b', 'ada@example.com', 'Ada', '$argon2id$v=19$m=19456,t=2,p=1$6xIyLTH8vs4hI9N5YUqQbQ$+NSE04Xzzmkl9oiSXnzt8Qi99Yh/Xfy+sDuhrW5c1TU', '2026-11-26 06:39:42.912282+00', NULL);
INSERT INTO public.users VALUES ('01a21694-d7d7-76ca-a142-f1e31cbd2935', 'ben@example.com', 'Ben', '$argon2id$v=19$m=19456,t=2,p=1$GJrg9LgMws/TSIA2t/w5AA$aH6dvBIsvcnW6MSa2LNhTxaJVCmGPx8i5I6YoiuoU8E', '2026-11-26 06:39:43.062381+00', NULL);
ALTER TABLE ONLY public.__diesel_schema_migrations
    ADD CONSTRAINT __diesel_schema_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.api_key_directory
    ADD CONSTRAINT api_key_directory_pkey PRIMARY KEY (public_key);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_form_nonce_unique UNIQUE (client_id, form_nonce);
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (client_id, public_key);
ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (client_id, sequence);
ALTER TABLE ONLY public.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (client_id, idempotency_key);
ALTER TABLE ONLY public.import_bad_lines
    ADD CONSTRAINT import_bad_lines_pkey PRIMARY KEY (client_id, import_id, number);
ALTER TABLE ONLY public.import_chunks
    ADD CONSTRAINT import_chunks_pkey PRIMARY KEY (client_id, import_id, number);
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (client_id, import_id);
ALTER TABLE ONLY public.key_errors
    ADD CONSTRAINT key_errors_pkey PRIMARY KEY (client_id, request_id);
ALTER TABLE ONLY public.key_last_uses
    ADD CONSTRAINT key_last_uses_pkey PRIMARY KEY (client_id, public_key);
ALTER TABLE ONLY public.key_usage
    ADD CONSTRAINT key_usage_pkey PRIMARY KEY (client_id, public_key, hour, endpoint, status_class);
ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT memberships_pkey PRIMARY KEY (client_id, user_id);
ALTER TABLE ONLY public.questions
    ADD CONSTRAINT questions_pkey PRIMARY KEY (question_id);
ALTER TABLE ONLY public.session_counters
    ADD CONSTRAINT session_counters_pkey PRIMARY KEY (client_id);
ALTER TABLE ONLY public.session_days
    ADD CONSTRAINT session_days_pkey PRIMARY KEY (client_id, day, status, channel);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_external_id_unique UNIQUE (client_id, external_id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (client_id, sequence);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_session_id_unique UNIQUE (client_id, session_id);
ALTER TABLE public.sessions
    ADD CONSTRAINT sessions_wrap_up_seconds_range CHECK ((wrap_up_seconds >= 0)) NOT VALID;
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (id_hash);
ALTER TABLE ONLY public.usage_batches
    ADD CONSTRAINT usage_batches_pkey PRIMARY KEY (node_id);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_email_unique UNIQUE (email);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (user_id);
CREATE UNIQUE INDEX api_keys_live_name_unique ON public.api_keys USING btree (client_id, name) WHERE ((deleted_at IS NULL) AND (replaced_by IS NULL));
CREATE INDEX api_keys_to_expire ON public.api_keys USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (expiry_noted_at IS NULL) AND (deleted_at IS NULL));
CREATE INDEX audit_log_act ON public.audit_log USING btree (client_id, act, sequence);
CREATE INDEX audit_log_actor ON public.audit_log USING btree (client_id, actor, sequence);
CREATE INDEX audit_log_at ON public.audit_log USING btree (client_id, at);
CREATE INDEX audit_log_related ON public.audit_log USING btree (client_id, related, sequence) WHERE (related IS NOT NULL);
CREATE INDEX audit_log_target ON public.audit_log USING btree (client_id, target, sequence);
CREATE INDEX idempotency_keys_created_at ON public.idempotency_keys USING btree (client_id, created_at);
CREATE INDEX imports_waiting ON public.imports USING btree (client_id, created_at) WHERE (state = ANY (ARRAY['checking'::text, 'importing'::text]));
CREATE INDEX key_usage_hour ON public.key_usage USING btree (client_id, hour);
CREATE INDEX memberships_user_id ON public.memberships USING btree (user_id, client_id);
CREATE INDEX sessions_agent_sequence ON public.sessions USING btree (client_id, agent_name, sequence) WHERE (agent_name IS NOT NULL);
CREATE INDEX sessions_newest ON public.sessions USING btree (client_id, created_at DESC, sequence DESC);
CREATE INDEX sessions_status_newest ON public.sessions USING btree (client_id, status, created_at DESC, sequence DESC);
CREATE INDEX sessions_updated ON public.sessions USING btree (client_id, updated_at, sequence);
CREATE INDEX sessions_walk ON public.sessions USING btree (client_id, sequence) INCLUDE (created_at, updated_at, status, channel);
CREATE INDEX sign_ins_ends_at ON public.sign_ins USING btree (ends_at);
CREATE INDEX sign_ins_user_id ON public.sign_ins USING btree (user_id);
CREATE TRIGGER audit_heads_are_not_emptied BEFORE TRUNCATE ON public.audit_heads FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_to_set_back_audit_heads();
CREATE TRIGGER audit_heads_only_go_on BEFORE DELETE OR UPDATE ON public.audit_heads FOR EACH ROW EXECUTE FUNCTION public.refuse_to_set_back_audit_heads();
CREATE TRIGGER audit_log_is_not_emptied BEFORE TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_to_change_audit_log();
CREATE TRIGGER audit_log_only_grows BEFORE DELETE OR UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.refuse_to_change_audit_log();
ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.audit_heads(client_id);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.import_bad_lines
    ADD CONSTRAINT import_bad_lines_import FOREIGN KEY (client_id, import_id) REFERENCES public.imports(client_id, import_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.import_chunks
    ADD CONSTRAINT import_chunks_import FOREIGN KEY (client_id, import_id) REFERENCES public.imports(client_id, import_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.imports
    ADD CONSTRAINT imports_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.key_errors
    ADD CONSTRAINT key_errors_of_a_key FOREIGN KEY (client_id, public_key) REFERENCES public.api_keys(client_id, public_key);
ALTER TABLE ONLY public.key_last_uses
    ADD CONSTRAINT key_last_uses_of_a_key FOREIGN KEY (client_id, public_key) REFERENCES public.api_keys(client_id, public_key);
ALTER TABLE ONLY public.key_usage
    ADD CONSTRAINT key_usage_of_a_key FOREIGN KEY (client_id, public_key) REFERENCES public.api_keys(client_id, public_key);
ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT memberships_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.memberships
    ADD CONSTRAINT memberships_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(user_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.session_counters
    ADD CONSTRAINT session_counters_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.session_days
    ADD CONSTRAINT session_days_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_client_id_fkey FOREIGN KEY (client_id) REFERENCES public.clients(client_id);
ALTER TABLE ONLY public.sign_ins
    ADD CONSTRAINT sign_ins_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(user_id) ON DELETE CASCADE;
