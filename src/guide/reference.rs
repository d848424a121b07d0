//! The tables of the API documentation.

/// Name, type, meaning and what `null` means, for every field of the session record.
pub(super) const RECORD: [(&str, &str, &str, &str); 31] = [
    ("sessionId", "UUID version 7", "Our id of the session.", "never"),
    ("sequence", "integer", "1, 2, 3 … per client, without gaps, in the order recorded.", "never"),
    (
        "externalId",
        "text, at most 255 characters",
        "The sender’s own id, unique per client.",
        "the sender has none",
    ),
    ("status", "text", "completed, missed, abandoned, declined or failed.", "never"),
    ("channel", "text", "video, audio or chat.", "never"),
    (
        "source",
        "text, at most 64 characters",
        "Where the shopper came from: widget, link, qr, phone …",
        "unknown",
    ),
    ("queueName", "text", "The queue the call waited in.", "none"),
    ("agentName", "text", "The agent who answered.", "none"),
    ("agentEmail", "text", "The agent’s e-mail.", "none"),
    ("shopperId", "text", "The shopper in the sender’s system.", "not given, or erased"),
    ("shopperName", "text", "The shopper’s name.", "not given, or erased"),
    ("shopperEmail", "text", "The shopper’s e-mail.", "not given, or erased"),
    ("shopperPhone", "text, E.164", "The shopper’s phone: +4930123456.", "not given, or erased"),
    ("shopperCountry", "text, ISO 3166-1 alpha-2", "The shopper’s country: DE.", "not given, or erased"),
    ("pageUrl", "text, at most 2048 characters", "The page where the call began.", "unknown"),
    ("createdAt", "time", "The call entered the queue.", "never"),
    ("startedAt", "time", "Agent and shopper were connected.", "never connected"),
    ("endedAt", "time", "The call ended.", "never"),
    ("waitSeconds", "integer, seconds", "From createdAt to startedAt, or to the end.", "unknown"),
    ("durationSeconds", "integer, seconds", "From startedAt to endedAt.", "never connected"),
    ("rating", "integer, 1 to 5", "Stars the shopper gave.", "not given"),
    ("ratingComment", "text", "What the shopper said about it.", "none"),
    ("notes", "text", "What the agent noted.", "none"),
    ("orderId", "text", "The order that came of the call.", "no order known"),
    (
        "orderValueMinor",
        "integer, minor units",
        "Value of the order in cents or the like, never a fraction.",
        "no order known",
    ),
    ("currency", "text, ISO 4217", "Currency of the order: EUR.", "no order known"),
    ("recordingUrl", "text, at most 2048 characters", "Where the recording is.", "none"),
    ("tags", "list of text", "Labels; in CSV separated by semicolons.", "never: an empty list"),
    ("recordedAt", "time", "We stored the session.", "never"),
    ("updatedAt", "time", "We last changed it.", "never"),
    ("erasedAt", "time", "The shopper’s personal fields were erased; the session stays.", "not erased"),
];

/// Status, code and meaning of every error of the API.
pub(super) const ERRORS: [(u16, &str, &str); 17] = [
    (400, "invalid_field", "A field is wrong. “errors” names it and says what to write."),
    (400, "malformed_request", "The body as a whole cannot be read. “detail” says why."),
    (
        401,
        "invalid_key",
        "The key is missing, malformed, unknown, expired or deleted. Check it, or generate another.",
    ),
    (
        403,
        "missing_scope",
        "The key is good, but lacks the scope that “detail” names. Generate one that has it.",
    ),
    (
        403,
        "address_not_allowed",
        "The key is good, but not from the address that “detail” names. Call from one of its networks.",
    ),
    (404, "not_found", "There is nothing at this address."),
    (405, "method_not_allowed", "The address takes another method. The Allow header names it."),
    (408, "body_too_slow", "The body did not arrive in time. Send it in one go."),
    (
        409,
        "conflict",
        "What there is now does not let this happen, such as a key that was replaced before; detail says why.",
    ),
    (409, "request_in_progress", "A request with the same Idempotency-Key is still being carried out."),
    (413, "body_too_large", "The body is too large."),
    (415, "unsupported_type", "The body is of another type than those above, or compressed."),
    (
        422,
        "invalid_item",
        "Sessions of a batch are wrong, and nothing was stored. “errors” names index and field.",
    ),
    (422, "idempotency_key_reused", "The Idempotency-Key came with another request before."),
    (
        429,
        "too_many_requests",
        "The key was used as often as it may be, or too many bad keys came from here. Wait as Retry-After says.",
    ),
    (500, "internal_error", "Our fault. Try again; if it happens again, tell us the request id."),
    (503, "busy", "Too much at once, or the database is away. Wait as many seconds as Retry-After says."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::COLUMNS;

    #[test]
    fn the_record_table_has_every_column_in_its_order() {
        assert_eq!(RECORD.map(|(name, ..)| name), COLUMNS);
    }
}
