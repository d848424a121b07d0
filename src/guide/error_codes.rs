//! The errors of the API.

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
