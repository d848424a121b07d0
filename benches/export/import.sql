select
    external_id as "externalId", status, channel, source, queue_name as "queueName", agent_name as "agentName",
    agent_email as "agentEmail", shopper_id as "shopperId", shopper_name as "shopperName",
    shopper_email as "shopperEmail", shopper_phone as "shopperPhone", shopper_country as "shopperCountry",
    page_url as "pageUrl",
    to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "createdAt",
    to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "startedAt",
    to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "endedAt",
    wait_seconds as "waitSeconds", duration_seconds as "durationSeconds", rating, rating_comment as "ratingComment",
    notes, order_id as "orderId", order_value_minor as "orderValueMinor", currency,
    recording_url as "recordingUrl", array_to_string(tags, ';') as tags
