//! The errors of the API.

/// Status, code and meaning of every error of the API.
pub(super) const ERRORS: [(u16, &str, &str); 17] = [
    (400, "invalid_field", "A field is invalid. See “errors” for its name and how to correct it."),
    (400, "malformed_request", "The request cannot be read. See “detail” for the reason."),
    (
        401,
        "invalid_key",
        "The key is missing, malformed, unknown, expired or deleted. Check it, or generate a new one.",
    ),
    (
        403,
        "missing_scope",
        "The key does not have the scope named in “detail”. Add it to the key, or use another key.",
    ),
    (
        403,
        "address_not_allowed",
        "The key cannot be used from the address named in “detail”. Call from an allowed network.",
    ),
    (404, "not_found", "There is nothing at this address."),
    (405, "method_not_allowed", "The address does not support this method. See the Allow header."),
    (408, "body_too_slow", "The body did not arrive in time. Send it without pauses."),
    (
        409,
        "conflict",
        "The current state does not allow this; for example, the key was already replaced. See “detail”.",
    ),
    (
        409,
        "request_in_progress",
        "A request with this Idempotency-Key is still running. Try again in a moment.",
    ),
    (413, "body_too_large", "The body is too large. Send less at a time."),
    (415, "unsupported_type", "The body is compressed or has an unsupported type. See “detail”."),
    (
        422,
        "invalid_item",
        "Some sessions are invalid, and nothing was stored. See “errors” for their index and fields.",
    ),
    (
        422,
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request. Use a new one for each request.",
    ),
    (
        429,
        "too_many_requests",
        "The key reached its rate limit, or too many bad keys came from your address. Wait as long as Retry-After says.",
    ),
    (
        500,
        "internal_error",
        "Something went wrong on our side. Try again. If it keeps happening, send us the request ID.",
    ),
    (503, "busy", "Uptok is overloaded, or the database is unreachable. Wait as long as Retry-After says."),
];
