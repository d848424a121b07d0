// @generated automatically by Diesel CLI.

diesel::table! {
    /// Single-use links for users who may not be logged in. A link that is used is deleted.
    account_links (token_digest) {
        /// SHA-256 of the token in the link, 32 bytes.
        token_digest -> Bytea,
        /// What the link does: password_reset or email_change.
        kind -> Text,
        user_id -> Uuid,
        /// The email that the link confirms, 3 to 254 characters; null: the link resets the password.
        new_email -> Nullable<Text>,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    /// The client of each public key. Rows are never changed or deleted, because a public key is never reused.
    api_key_directory (public_key) {
        public_key -> Text,
        client_id -> Text,
    }
}

diesel::table! {
    /// API keys of clients. A whole key is shown once and never stored.
    api_keys (client_id, public_key) {
        client_id -> Text,
        /// uptok_ and 12 characters of 0-9A-Za-z: the part of a key that lists, logs and addresses show. Never reused.
        public_key -> Text,
        /// 1 to 64 characters, NFC. Unique among the keys of a client that are neither deleted nor replaced.
        name -> Text,
        /// HMAC-SHA-256, 32 bytes; null once the key is deleted, so that clearing deleted_at does not revive it.
        secret_hash -> Nullable<Bytea>,
        /// How secret_hash was computed. 1: HMAC-SHA-256 with the key derived from UPTOK_SECRET.
        hash_version -> Int2,
        /// Identifies the form that created the key, so that sending it twice creates one key; null: not created by a form.
        form_nonce -> Nullable<Text>,
        /// The user who created it; null: a key or the command line did. No foreign key: users are not distributed by client.
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        /// The user who deleted it; null: not deleted, or a key or the command line did.
        deleted_by -> Nullable<Uuid>,
        deleted_at -> Nullable<Timestamptz>,
        /// What the key may do, at least one scope. Everything else is denied.
        scopes -> Array<Text>,
        /// From then on the key is refused, by the clock of the database; null: it does not expire.
        expires_at -> Nullable<Timestamptz>,
        /// Public key of the key that replaced this one, which stays active until expires_at; null: not replaced.
        replaced_by -> Nullable<Text>,
        /// Requests per minute, 0 to 1000000; 0: no limit.
        requests_per_minute -> Int4,
        /// Networks that may use the key, at most 50; empty: every network.
        allowed_networks -> Array<Cidr>,
        /// Public key of the key that created this one through the API; null: a user or the command line did.
        created_by_key -> Nullable<Text>,
        /// Public key of the key that deleted this one through the API; null: not deleted, or a user or the command line did.
        deleted_by_key -> Nullable<Text>,
        /// When the audit log recorded the expiry; null: not yet, or the key has not expired.
        expiry_noted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// How far the rate limits of addresses and accounts are used. Rows are deleted once the whole limit is available again.
    attempt_rate_limits (kind, subject_hash) {
        /// What is limited: bad_keys, login_address, login_account or questions.
        kind -> Text,
        /// Keyed hash of the address or account, 16 bytes, so that the table names nobody.
        subject_hash -> Bytea,
        /// Number of attempts that all nodes have counted in this row.
        used -> Int8,
        /// When the whole limit is available again, by the clock of the database.
        full_at -> Timestamptz,
    }
}

diesel::table! {
    /// The end of each client's audit log. Adding a record locks the row until commit, as the last lock of its transaction.
    audit_heads (client_id) {
        client_id -> Text,
        /// Sequence of the last record, which is also the number of records; 0: none.
        sequence -> Int8,
        /// Hash of the last record, 32 bytes; zeros: there is none.
        hash -> Bytea,
        /// HMAC-SHA-256 of hash, 32 bytes. It enters the hash of the next record and is stored only here, so that nobody can set the row back.
        seal -> Bytea,
    }
}

diesel::table! {
    /// Who did what. Rows are only added, in the transaction of the event, and the hash of each depends on the one before.
    audit_log (client_id, sequence) {
        client_id -> Text,
        /// 1, 2, 3 … per client, without gaps.
        sequence -> Int8,
        /// When the record was written, by the clock of the database; never earlier than the record before.
        at -> Timestamptz,
        /// user: logged in; key: a program with an API key; command_line: the uptok command; system: Uptok itself; visitor: not logged in.
        actor_kind -> Text,
        /// A user_id or public key; null for other kinds. No foreign key: a record outlives its actor.
        actor -> Nullable<Text>,
        /// What happened, such as key.created or sign_in.failed.
        act -> Text,
        /// What it happened to: a public key, a user_id or an import_id; null: the client.
        target -> Nullable<Text>,
        /// The other object of the event, such as the public key of a replacement; null: none.
        related -> Nullable<Text>,
        /// JSON object of strings, at most 16384 bytes, exactly as hashed. Never contains secrets or data of shoppers.
        details -> Text,
        /// Where the request came from; null: unknown, or not a request.
        address -> Nullable<Inet>,
        /// As in X-Request-Id and in the log; null: not a request.
        request_id -> Nullable<Uuid>,
        /// Hash of the record before, 32 bytes; zeros: this is the first.
        previous_hash -> Bytea,
        /// HMAC-SHA-256 of the seal of the record before and all other columns, 32 bytes.
        hash -> Bytea,
    }
}

diesel::table! {
    /// Customer organisations. A client owns its sessions, its API keys and every other row with its client_id.
    clients (client_id) {
        /// Public Client ID: cl_ and 10 characters of 0-9a-z. All tables that clients own can be distributed by it.
        client_id -> Text,
        /// Company name, 1 to 120 characters.
        name -> Text,
        created_at -> Timestamptz,
        /// False if the client is older than its audit log, whose first record is then not about its first member.
        audited_from_start -> Bool,
        /// True: members without a second factor can only set one up. API keys are not affected.
        requires_second_factor -> Bool,
    }
}

diesel::table! {
    /// First answers to POST /api/sessions with an Idempotency-Key, sent again for 24 hours.
    idempotency_keys (client_id, idempotency_key) {
        client_id -> Text,
        idempotency_key -> Text,
        /// SHA-256 of the request, 32 bytes. A different request with the same key is refused.
        fingerprint -> Bytea,
        /// Body of the first answer, whose status was 200.
        answer -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// What is wrong in the first rejected lines of an import.
    import_bad_lines (client_id, import_id, number) {
        client_id -> Text,
        import_id -> Uuid,
        /// 0, 1, 2 … in the order of the file.
        number -> Int4,
        /// Line number in the file, from 1.
        line -> Int8,
        field -> Text,
        message -> Text,
    }
}

diesel::table! {
    /// Contents of uploaded files. Deleted when the import has ended, or after 24 hours.
    import_chunks (client_id, import_id, number) {
        client_id -> Text,
        import_id -> Uuid,
        /// 0, 1, 2 … in the order of the file.
        number -> Int4,
        /// 1 byte to 1 MiB.
        bytes -> Bytea,
    }
}

diesel::table! {
    /// Uploaded files of sessions and the progress of their import.
    imports (client_id, import_id) {
        client_id -> Text,
        import_id -> Uuid,
        /// 1 to 255 characters.
        file_name -> Text,
        /// True: NDJSON. False: CSV.
        is_json -> Bool,
        /// The session field of each CSV column, empty for a column that is ignored; null: not chosen yet.
        mapping -> Nullable<Array<Text>>,
        state -> Text,
        /// Size of the file.
        bytes -> Int8,
        /// Number of chunks of the file, each at most 1 MiB.
        chunks -> Int4,
        /// Chunks already processed in this state, stored in the transaction that stores their sessions.
        chunks_done -> Int4,
        /// Sessions that were new.
        created -> Int8,
        /// Sessions that were changed.
        updated -> Int8,
        /// Sessions that were already stored like this.
        unchanged -> Int8,
        /// Lines that were left out because they are wrong.
        rejected -> Int8,
        /// Why it failed, as a sentence; null: it did not.
        failure -> Nullable<Text>,
        /// The user who uploaded the file. No foreign key: users are not distributed by client.
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        /// The process that imports the file; null: none. Another may take over once heartbeat_at is old.
        worker -> Nullable<Uuid>,
        heartbeat_at -> Nullable<Timestamptz>,
        /// Lines that are no session: the header, a line that names the delimiter, blank lines.
        skipped -> Int8,
        /// The encoding of the file: utf-8, utf-16 or windows-1252.
        encoding -> Text,
    }
}

diesel::table! {
    /// Invitations to become a member of a client, looked up by their link. Deleted when accepted or withdrawn.
    invitations (invitation_id) {
        invitation_id -> Uuid,
        /// No foreign key: a local table cannot reference clients once that is distributed.
        client_id -> Text,
        /// The only address that can accept: lower case, NFC, 3 to 254 characters.
        email -> Text,
        /// The role of the future member.
        role -> Text,
        /// SHA-256 of the random token in the link, 32 bytes. A new link replaces it.
        token_hash -> Bytea,
        /// The user who sent it; null: the command line did, or the user is gone.
        invited_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        /// From then on the link does not work: 7 days after it was made.
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    /// The last 100 requests of each client that were answered with an error.
    key_errors (client_id, request_id) {
        client_id -> Text,
        /// X-Request-Id of the answer: UUID version 7, so ordered by time.
        request_id -> Uuid,
        public_key -> Text,
        answered_at -> Timestamptz,
        endpoint -> Text,
        /// HTTP status, 400 to 599.
        status -> Int2,
        /// Code of the problem, such as invalid_field.
        code -> Text,
    }
}

diesel::table! {
    /// When, from where and with which program each key was last used. A key without a row was never used.
    key_last_uses (client_id, public_key) {
        client_id -> Text,
        public_key -> Text,
        used_at -> Timestamptz,
        address -> Inet,
        /// User-Agent without control and invisible characters, 1 to 200 characters; null: none was sent.
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    /// How far the rate limits of keys are used. Rows are deleted once the whole limit is available again.
    key_rate_limits (client_id, public_key, requests_per_minute) {
        client_id -> Text,
        public_key -> Text,
        /// The limit. A key whose limit was changed has a row for each.
        requests_per_minute -> Int4,
        /// Number of requests that all nodes have counted in this row.
        used -> Int8,
        /// When the whole limit is available again, by the clock of the database.
        full_at -> Timestamptz,
    }
}

diesel::table! {
    /// Number of requests of each key by hour, endpoint and class of the answer, kept for 400 days.
    key_usage (client_id, public_key, hour, endpoint, status_class) {
        client_id -> Text,
        public_key -> Text,
        /// Start of the hour in which the answer began, by the clock of the node.
        hour -> Timestamptz,
        /// Method and path pattern, such as GET /api/sessions.
        endpoint -> Text,
        /// First digit of the HTTP status, 2 to 5.
        status_class -> Int2,
        /// Number of requests, at least 1.
        requests -> Int8,
    }
}

diesel::table! {
    /// The users of each client, looked up by user.
    memberships (client_id, user_id) {
        /// No foreign key: a local table cannot reference clients once that is distributed.
        client_id -> Text,
        user_id -> Uuid,
        /// owner and admin can create keys; member can only read.
        role -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Mail to be sent, stored in the transaction of the event it reports. Rows are deleted after 30 days.
    outbox (mail_id) {
        mail_id -> Uuid,
        kind -> Text,
        /// Email address, 3 to 254 characters.
        recipient -> Text,
        /// Subject and bodies, encrypted with a key derived from UPTOK_SECRET; null once sent.
        content -> Nullable<Bytea>,
        created_at -> Timestamptz,
        /// Number of attempts so far. A result is stored only by the node that made the last one.
        attempts -> Int4,
        /// When a node may try next. An attempt moves it into the future, so that no other node sends the mail meanwhile.
        next_attempt_at -> Timestamptz,
        /// When the mail is given up: a day after it was stored or retried.
        give_up_at -> Timestamptz,
        /// When the link in the mail expires and sending it is useless; null: never.
        expires_at -> Nullable<Timestamptz>,
        /// Why the last attempt failed, at most 500 characters; null: it did not.
        last_error -> Nullable<Text>,
        sent_at -> Nullable<Timestamptz>,
        /// When the mail was given up; null: not given up.
        failed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Logins that wait for a code: the password was right. They sign nobody in. A login that is completed is deleted.
    pending_logins (token_digest) {
        /// SHA-256 of the token in the cookie, 32 bytes.
        token_digest -> Bytea,
        user_id -> Uuid,
        /// SHA-256 of the password hash that was verified, 32 bytes. Another password ends the login.
        password_digest -> Bytea,
        /// Where the login leads, as JSON: a path, or a form without secrets.
        login_return -> Text,
        /// Codes that were sent, 0 to 5. After the fifth wrong one the login starts again with the password.
        attempts -> Int4,
        created_at -> Timestamptz,
        /// When the login starts again with the password: 10 minutes after it began.
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    /// Questions from the form on /docs, to be answered within a business day.
    questions (question_id) {
        question_id -> Uuid,
        name -> Text,
        email -> Text,
        /// 1 to 5000 characters.
        question -> Text,
        asked_at -> Timestamptz,
    }
}

diesel::table! {
    /// Recovery codes that have not been used. Using one deletes its row.
    recovery_codes (user_id, code_hash) {
        user_id -> Uuid,
        /// HMAC-SHA-256 of user and code under a key derived from UPTOK_SECRET, 32 bytes.
        code_hash -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Authenticator apps of users. Turning one off deletes its row.
    second_factors (user_id) {
        user_id -> Uuid,
        /// The secret that the app computes codes from, encrypted with a key derived from UPTOK_SECRET.
        secret -> Bytea,
        /// When the set-up began. It can be completed within an hour.
        created_at -> Timestamptz,
        /// When the user completed the set-up with a code; null: not yet, so that no login asks for one.
        activated_at -> Nullable<Timestamptz>,
        /// Number of the 30 seconds since 1970 whose code was used last. Its code and earlier ones are refused. Null: none was used.
        last_used_step -> Nullable<Int8>,
    }
}

diesel::table! {
    /// One row per client. Recording locks it until commit, so sequences have no gaps and follow the order of commits.
    session_counters (client_id) {
        client_id -> Text,
        /// Number of sessions of the client, which is also the highest sequence.
        recorded -> Int8,
        /// Increases with every change of the client's sessions. A cached page is valid while its revision is current.
        revision -> Int8,
    }
}

diesel::table! {
    /// Number of sessions by day, status and channel, the most frequent filters. Changed only under the lock of session_counters.
    session_days (client_id, day, status, channel) {
        client_id -> Text,
        /// The day of created_at in UTC.
        day -> Date,
        status -> Text,
        channel -> Text,
        /// Sessions with this day, status and channel; 0 once all of them have changed.
        sessions -> Int8,
    }
}

diesel::table! {
    /// Recorded calls. Rows are never deleted, because pages are found by sequence: erasing clears the personal fields.
    sessions (client_id, sequence) {
        client_id -> Text,
        /// 1, 2, 3 … per client, without gaps, in the order recorded.
        sequence -> Int8,
        /// UUID version 7, generated by Uptok.
        session_id -> Uuid,
        /// The sender's id of the session, 1 to 255 characters; null: the sender has none.
        external_id -> Nullable<Text>,
        status -> Text,
        channel -> Text,
        /// Such as widget, link, qr or phone, at most 64 characters; null: unknown.
        source -> Nullable<Text>,
        queue_name -> Nullable<Text>,
        agent_name -> Nullable<Text>,
        agent_email -> Nullable<Text>,
        shopper_id -> Nullable<Text>,
        shopper_name -> Nullable<Text>,
        shopper_email -> Nullable<Text>,
        /// E.164; null: unknown or erased.
        shopper_phone -> Nullable<Text>,
        /// ISO 3166-1 alpha-2; null: unknown or erased.
        shopper_country -> Nullable<Text>,
        /// Where the call began, at most 2048 characters; null: unknown.
        page_url -> Nullable<Text>,
        /// When the call entered the queue.
        created_at -> Timestamptz,
        /// When agent and shopper were connected; null: never.
        started_at -> Nullable<Timestamptz>,
        ended_at -> Timestamptz,
        /// Seconds from created_at to started_at, or to ended_at if never connected; null: unknown.
        wait_seconds -> Nullable<Int4>,
        /// Seconds from started_at to ended_at; null: never connected.
        duration_seconds -> Nullable<Int4>,
        /// Stars, 1 to 5; null: not rated.
        rating -> Nullable<Int2>,
        rating_comment -> Nullable<Text>,
        notes -> Nullable<Text>,
        order_id -> Nullable<Text>,
        /// In minor units of currency, such as cents; null: no order.
        order_value_minor -> Nullable<Int8>,
        /// ISO 4217; null: no order.
        currency -> Nullable<Text>,
        recording_url -> Nullable<Text>,
        tags -> Array<Text>,
        /// When Uptok stored the session.
        recorded_at -> Timestamptz,
        /// When Uptok last changed the session.
        updated_at -> Timestamptz,
        /// When the personal fields were erased; null: not erased.
        erased_at -> Nullable<Timestamptz>,
        /// When the sender last changed its record, by the sender's clock; null: unknown. An older record never overwrites a newer one.
        sender_updated_at -> Nullable<Timestamptz>,
        /// Seconds the agent spent on the call after it ended; null: unknown.
        wrap_up_seconds -> Nullable<Int4>,
    }
}

diesel::table! {
    /// As usage_batches, where tables are distributed by client: the last batch of counts that a node stored in a shard.
    shard_usage_batches (client_id, node_id) {
        /// The first client of the batch. All clients of a batch are in one shard.
        client_id -> Text,
        /// Identifies a process from its start to its end.
        node_id -> Uuid,
        /// Increases with every batch of the node.
        number -> Int8,
        stored_at -> Timestamptz,
    }
}

diesel::table! {
    /// Browsers that are logged in. Every request of a page joins users, memberships and the active client.
    sign_ins (id_hash) {
        /// SHA-256 of the random id in the cookie, 32 bytes.
        id_hash -> Bytea,
        user_id -> Uuid,
        /// The active client; null: the user had none. No foreign key: a local table cannot reference clients once that is distributed.
        client_id -> Nullable<Text>,
        /// A message that the next page shows once; null: none.
        flash -> Nullable<Text>,
        created_at -> Timestamptz,
        /// Updated at most once a minute. A sign-in that was idle for 12 hours has ended.
        last_seen_at -> Timestamptz,
        /// When the sign-in ends at the latest: 7 days after the login.
        ends_at -> Timestamptz,
        /// The address of the browser at the login; null: the sign-in is from before this column.
        address -> Nullable<Inet>,
        /// The User-Agent of the browser at the login, at most 300 characters; null: unknown.
        user_agent -> Nullable<Text>,
        /// A form that was sent after an earlier sign-in had ended, without secrets, as JSON, until it is shown; null: none.
        lost_form -> Nullable<Text>,
        /// When the user last entered the password or a code again; null: not since the login, which counts as a confirmation itself.
        confirmed_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// The last batch of counts that each running node stored, written in the same transaction, so that a batch sent again counts once.
    usage_batches (node_id) {
        /// Identifies a process from its start to its end.
        node_id -> Uuid,
        /// 1, 2, 3 … per node.
        number -> Int8,
        stored_at -> Timestamptz,
    }
}

diesel::table! {
    /// People who can log in.
    users (user_id) {
        user_id -> Uuid,
        /// Lower case, NFC, 3 to 254 characters (RFC 5321). Users log in with it.
        email -> Text,
        /// 1 to 120 characters.
        name -> Text,
        /// argon2id in PHC string format.
        password_hash -> Text,
        created_at -> Timestamptz,
        /// Since when the user cannot log in; null: active. Open sign-ins end with their next request.
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(account_links -> users (user_id));
diesel::joinable!(api_keys -> clients (client_id));
diesel::joinable!(audit_log -> audit_heads (client_id));
diesel::joinable!(idempotency_keys -> clients (client_id));
diesel::joinable!(imports -> clients (client_id));
diesel::joinable!(invitations -> users (invited_by));
diesel::joinable!(memberships -> users (user_id));
diesel::joinable!(pending_logins -> users (user_id));
diesel::joinable!(recovery_codes -> second_factors (user_id));
diesel::joinable!(second_factors -> users (user_id));
diesel::joinable!(session_counters -> clients (client_id));
diesel::joinable!(session_days -> clients (client_id));
diesel::joinable!(sign_ins -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    account_links,
    api_key_directory,
    api_keys,
    attempt_rate_limits,
    audit_heads,
    audit_log,
    clients,
    idempotency_keys,
    import_bad_lines,
    import_chunks,
    imports,
    invitations,
    key_errors,
    key_last_uses,
    key_rate_limits,
    key_usage,
    memberships,
    outbox,
    pending_logins,
    questions,
    recovery_codes,
    second_factors,
    session_counters,
    session_days,
    sessions,
    shard_usage_batches,
    sign_ins,
    usage_batches,
    users,
);
