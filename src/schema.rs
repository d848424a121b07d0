// @generated automatically by Diesel CLI.

diesel::table! {
    /// Which client a public key belongs to. Rows are never changed or deleted: a public key is never reused.
    api_key_directory (public_key) {
        public_key -> Text,
        client_id -> Text,
    }
}

diesel::table! {
    /// What a program presents. The key itself is shown once and never stored.
    api_keys (client_id, public_key) {
        client_id -> Text,
        /// uptok_ and 12 characters of 0-9A-Za-z: what lists, logs and addresses show. Never reused.
        public_key -> Text,
        /// 1 to 64 characters, NFC, unique among the living keys of a client.
        name -> Text,
        /// HMAC-SHA-256, 32 bytes; null once the key is deleted, so that no change of deleted_at revives it.
        secret_hash -> Nullable<Bytea>,
        /// How secret_hash was made. 1: HMAC-SHA-256 under the key derived from UPTOK_SECRET.
        hash_version -> Int2,
        /// The form this key came from: a double click or reload makes one key.
        form_nonce -> Nullable<Text>,
        /// The user who generated it. No foreign key: users are not distributed by client.
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        deleted_by -> Nullable<Uuid>,
        deleted_at -> Nullable<Timestamptz>,
        /// What the key may do; what is not named here is denied.
        scopes -> Array<Text>,
        /// From this time on the key is refused, by the clock of the database; null: it does not expire.
        expires_at -> Nullable<Timestamptz>,
        /// The public key of the key that replaced this one, which lives on until expires_at; null: not replaced.
        replaced_by -> Nullable<Text>,
        /// Requests per minute, 0 to 1000000; 0: no limit.
        requests_per_minute -> Int4,
        /// Networks from which the key may be used, at most 50; none: from everywhere.
        allowed_networks -> Array<Cidr>,
        /// The public key of the key that made this one through the API; null: a user or the command line did.
        created_by_key -> Nullable<Text>,
        /// The public key of the key that deleted this one through the API; null: a user or the command line did.
        deleted_by_key -> Nullable<Text>,
        /// When its expiry was written to the audit log; null: not yet, or it did not expire.
        expiry_noted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Where the audit log of a client ends. Whoever adds a record locks the row until commit, after everything else it locks.
    audit_heads (client_id) {
        client_id -> Text,
        /// The sequence of the last record, and so their number; 0: there is none.
        sequence -> Int8,
        /// The hash of the last record: 32 bytes; zeros: there is none.
        hash -> Bytea,
        /// HMAC-SHA-256 over hash: 32 bytes. The next record is hashed over it, and it stands nowhere else, so that nobody can set the row back.
        seal -> Bytea,
    }
}

diesel::table! {
    /// Who did what. Rows are only ever added, in the transaction of what they tell, and each is hashed over the one before.
    audit_log (client_id, sequence) {
        client_id -> Text,
        /// 1, 2, 3 … per client, without gaps.
        sequence -> Int8,
        /// When it was written, by the clock of the database; in the order of sequence.
        at -> Timestamptz,
        /// user: logged in; key: a program; command_line: whoever runs uptok; system: uptok by itself; visitor: nobody we know.
        actor_kind -> Text,
        /// The user_id or the public key. No foreign key: a record outlives whom it names.
        actor -> Nullable<Text>,
        /// What happened: key.created, sign_in.failed, …
        act -> Text,
        /// To what it happened: a public key, a user_id, an import; null: to the client.
        target -> Nullable<Text>,
        /// The other thing it is about: the public key of a replacement.
        related -> Nullable<Text>,
        /// A JSON object of texts, as the bytes that were hashed. Never a secret, never what tells of a shopper.
        details -> Text,
        /// Where the request came from; null: it was none, or that is not known.
        address -> Nullable<Inet>,
        /// As in X-Request-Id and in the log.
        request_id -> Nullable<Uuid>,
        /// The hash of the record before: 32 bytes; zeros: this is the first.
        previous_hash -> Bytea,
        /// HMAC-SHA-256 over the seal of the record before and every other column: 32 bytes.
        hash -> Bytea,
    }
}

diesel::table! {
    /// Customer organisations. A client owns sessions and API keys. Not audited_from_start: it is older than its audit log, whose first record then need not tell of its first member.
    clients (client_id) {
        /// Public Client ID: cl_ and 10 characters of 0-9a-z. The distribution column of every client-owned table.
        client_id -> Text,
        /// Company name, 1 to 120 characters.
        name -> Text,
        created_at -> Timestamptz,
        audited_from_start -> Bool,
    }
}

diesel::table! {
    /// Answers to POST /api/sessions with an Idempotency-Key, replayed for 24 hours.
    idempotency_keys (client_id, idempotency_key) {
        client_id -> Text,
        idempotency_key -> Text,
        /// SHA-256 of the request: 32 bytes. Another request under the same key is refused.
        fingerprint -> Bytea,
        /// The body of the first answer, whose status was 200.
        answer -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// The last 100 requests of each client that were answered with an error.
    key_errors (client_id, request_id) {
        client_id -> Text,
        /// X-Request-Id of the answer: UUID version 7, in the order of time.
        request_id -> Uuid,
        public_key -> Text,
        answered_at -> Timestamptz,
        endpoint -> Text,
        /// HTTP status, 400 to 599.
        status -> Int2,
        /// The code of the problem: invalid_field.
        code -> Text,
    }
}

diesel::table! {
    /// When, from where and with which program each key was last used. No row: never.
    key_last_uses (client_id, public_key) {
        client_id -> Text,
        public_key -> Text,
        used_at -> Timestamptz,
        address -> Inet,
        /// The User-Agent, without control and invisible characters, at most 200 characters; null: none was sent.
        user_agent -> Nullable<Text>,
    }
}

diesel::table! {
    /// How many requests each key made: by hour, endpoint and class of the answer. Kept for 400 days.
    key_usage (client_id, public_key, hour, endpoint, status_class) {
        client_id -> Text,
        public_key -> Text,
        /// Begin of the hour in which the answer began, by the clock of the node.
        hour -> Timestamptz,
        /// Method and pattern of the address: GET /api/sessions.
        endpoint -> Text,
        /// First digit of the HTTP status: 2, 3, 4 or 5.
        status_class -> Int2,
        /// Requests, 1 or more.
        requests -> Int8,
    }
}

diesel::table! {
    /// What is wrong in the first lines that were left out.
    import_bad_lines (client_id, import_id, number) {
        client_id -> Text,
        import_id -> Uuid,
        /// 0, 1, 2 … in the order of the file.
        number -> Int4,
        /// The number of the line in the file, from 1.
        line -> Int8,
        field -> Text,
        message -> Text,
    }
}

diesel::table! {
    /// What was uploaded. Deleted when the import is over, or after 24 hours.
    import_chunks (client_id, import_id, number) {
        client_id -> Text,
        import_id -> Uuid,
        /// 0, 1, 2 … in the file.
        number -> Int4,
        bytes -> Bytea,
    }
}

diesel::table! {
    /// Files of sessions that were uploaded to be imported, and how far that is.
    imports (client_id, import_id) {
        client_id -> Text,
        import_id -> Uuid,
        file_name -> Text,
        /// NDJSON, not CSV.
        is_json -> Bool,
        /// Which column of the record each column of the CSV is, the empty text for none; null: not said yet.
        mapping -> Nullable<Array<Text>>,
        state -> Text,
        /// The size of the file.
        bytes -> Int8,
        /// Chunks of the file, each at most 1 MiB.
        chunks -> Int4,
        /// Chunks that were gone through in this state; stored with what they held.
        chunks_done -> Int4,
        created -> Int8,
        updated -> Int8,
        unchanged -> Int8,
        rejected -> Int8,
        /// Why it failed, as a sentence.
        failure -> Nullable<Text>,
        /// The user who uploaded it.
        created_by -> Nullable<Uuid>,
        created_at -> Timestamptz,
        ended_at -> Nullable<Timestamptz>,
        /// The process that goes through it; another may when heartbeat_at is old.
        worker -> Nullable<Uuid>,
        heartbeat_at -> Nullable<Timestamptz>,
        /// Lines that are no session: the header, a line that names the delimiter, blank lines.
        skipped -> Int8,
        /// The encoding of the file: utf-8, utf-16 or windows-1252.
        encoding -> Text,
    }
}

diesel::table! {
    /// Which user belongs to which client.
    memberships (client_id, user_id) {
        client_id -> Text,
        user_id -> Uuid,
        /// owner and admin make keys; member reads.
        role -> Text,
        created_at -> Timestamptz,
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
    /// One row per client. Whoever records sessions locks it until commit: sequences are dense, in the order of commits.
    session_counters (client_id) {
        client_id -> Text,
        /// Sessions recorded for this client, and so the highest sequence.
        recorded -> Int8,
        /// Grows with every change of the client's sessions. An answer made at a revision holds as long as it is the current one.
        revision -> Int8,
    }
}

diesel::table! {
    /// How many sessions a client has, by what most filters ask for. Changed in the transaction that changes the sessions, under the lock of session_counters.
    session_days (client_id, day, status, channel) {
        client_id -> Text,
        /// The day of created_at in UTC.
        day -> Date,
        status -> Text,
        channel -> Text,
        /// Sessions of that day, status and channel; 0 after the last was changed into another.
        sessions -> Int8,
    }
}

diesel::table! {
    /// Recorded calls. Rows are never deleted: erasing blanks the personal fields, so pages never shift.
    sessions (client_id, sequence) {
        client_id -> Text,
        /// 1, 2, 3 … per client, without gaps, in the order recorded.
        sequence -> Int8,
        /// UUID version 7, ours.
        session_id -> Uuid,
        /// The sender's own id, at most 255 characters; null: the sender has none.
        external_id -> Nullable<Text>,
        status -> Text,
        channel -> Text,
        /// widget, link, qr, phone …; at most 64 characters; null: unknown.
        source -> Nullable<Text>,
        queue_name -> Nullable<Text>,
        agent_name -> Nullable<Text>,
        agent_email -> Nullable<Text>,
        shopper_id -> Nullable<Text>,
        shopper_name -> Nullable<Text>,
        shopper_email -> Nullable<Text>,
        /// E.164; null: not given, or erased.
        shopper_phone -> Nullable<Text>,
        /// ISO 3166-1 alpha-2; null: not given, or erased.
        shopper_country -> Nullable<Text>,
        /// Where the call began, at most 2048 characters; null: unknown.
        page_url -> Nullable<Text>,
        /// The call entered the queue.
        created_at -> Timestamptz,
        /// Agent and shopper connected; null: never connected.
        started_at -> Nullable<Timestamptz>,
        ended_at -> Timestamptz,
        /// Seconds from created_at to started_at or the end; null: unknown.
        wait_seconds -> Nullable<Int4>,
        /// Seconds from started_at to ended_at; null: never connected.
        duration_seconds -> Nullable<Int4>,
        /// Stars, 1 to 5; null: not given.
        rating -> Nullable<Int2>,
        rating_comment -> Nullable<Text>,
        notes -> Nullable<Text>,
        order_id -> Nullable<Text>,
        /// Minor units of currency (cents …); null: no order known.
        order_value_minor -> Nullable<Int8>,
        /// ISO 4217; null: no order known.
        currency -> Nullable<Text>,
        recording_url -> Nullable<Text>,
        tags -> Array<Text>,
        /// When we stored the session.
        recorded_at -> Timestamptz,
        /// When we last changed it.
        updated_at -> Timestamptz,
        /// When the personal fields were erased; null: not erased.
        erased_at -> Nullable<Timestamptz>,
        /// When the sender last changed its record, as it said; null: it did not say. An older record never overwrites a newer one.
        sender_updated_at -> Nullable<Timestamptz>,
        /// Seconds the agent spent on the call after it ended; null: unknown.
        wrap_up_seconds -> Nullable<Int4>,
    }
}

diesel::table! {
    /// Browsers that are logged in. Joined to users and memberships on every request.
    sign_ins (id_hash) {
        /// SHA-256 of the random id in the cookie: 32 bytes.
        id_hash -> Bytea,
        user_id -> Uuid,
        /// The active client.
        client_id -> Text,
        /// One message for the next page, shown once.
        flash -> Nullable<Text>,
        created_at -> Timestamptz,
        /// Written at most once a minute. Idle for 12 hours: the sign-in is over.
        last_seen_at -> Timestamptz,
        /// The sign-in is over at this time whatever happens: 7 days after logging in.
        ends_at -> Timestamptz,
    }
}

diesel::table! {
    /// The last batch of counts that each running node has stored, in the transaction that stored it: one that is sent again counts once.
    usage_batches (node_id) {
        /// A process, from its start to its end.
        node_id -> Uuid,
        /// Batches of a node are 1, 2, 3 …
        number -> Int8,
        stored_at -> Timestamptz,
    }
}

diesel::table! {
    /// People who sign in.
    users (user_id) {
        user_id -> Uuid,
        /// Lower-cased and NFC, 3 to 254 characters (RFC 5321). What a person signs in with.
        email -> Text,
        name -> Text,
        /// argon2id in PHC string format. Never a password.
        password_hash -> Text,
        created_at -> Timestamptz,
        /// Not null: the user may not sign in, and open sign-ins end with the next request.
        disabled_at -> Nullable<Timestamptz>,
    }
}

diesel::joinable!(api_keys -> clients (client_id));
diesel::joinable!(audit_log -> audit_heads (client_id));
diesel::joinable!(idempotency_keys -> clients (client_id));
diesel::joinable!(imports -> clients (client_id));
diesel::joinable!(memberships -> clients (client_id));
diesel::joinable!(memberships -> users (user_id));
diesel::joinable!(session_counters -> clients (client_id));
diesel::joinable!(session_days -> clients (client_id));
diesel::joinable!(sign_ins -> clients (client_id));
diesel::joinable!(sign_ins -> users (user_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_key_directory,
    api_keys,
    audit_heads,
    audit_log,
    clients,
    idempotency_keys,
    import_bad_lines,
    import_chunks,
    imports,
    key_errors,
    key_last_uses,
    key_usage,
    memberships,
    questions,
    session_counters,
    session_days,
    sessions,
    sign_ins,
    usage_batches,
    users,
);
