-- Generates sessions for the benchmark. $1: client IDs; $2: number of sessions of each client. Rows of all clients are
-- interleaved, as if recorded over time, so that a page is spread over the table as in production.
insert into sessions (
    client_id, sequence, session_id, external_id, status, channel, source, queue_name, agent_name, agent_email,
    shopper_id, shopper_name, shopper_email, shopper_phone, shopper_country, page_url, created_at, started_at, ended_at,
    wait_seconds, duration_seconds, rating, rating_comment, notes, order_id, order_value_minor, currency, recording_url,
    tags, recorded_at, updated_at
)
select
    client_id, sequence, session_id, 'call-' || sequence, status, channel, source, queue_name,
    case when answered then agent end,
    case when answered then lower(replace(agent, ' ', '.')) || '@example.com' end,
    'shopper-' || shopper, shopper_name,
    case when shopper % 3 > 0 then lower(replace(shopper_name, ' ', '.')) || shopper || '@example.org' end,
    case when shopper % 2 = 0 then '+49301' || 100000 + shopper end,
    shopper_country, 'https://shop.example.com/' || lower(queue_name) || '/item-' || shopper % 5000,
    created_at,
    case when answered then created_at + wait end,
    created_at + wait + case when answered then duration else interval '0' end,
    extract(epoch from wait)::integer,
    case when answered then extract(epoch from duration)::integer end,
    case when answered and shopper % 2 = 0 then 1 + shopper % 5 end,
    case when answered and shopper % 10 = 0 then 'Showed me three fabrics in daylight, I could choose at once.' end,
    case when answered and shopper % 4 = 0 then 'Wants samples of the grey fabric; call again on Thursday.' end,
    case when answered and shopper % 3 = 0 then 'A-' || 100000 + sequence end,
    case when answered and shopper % 3 = 0 then 4900 + shopper * 7 end,
    case when answered and shopper % 3 = 0 then 'EUR' end,
    case when answered then 'https://recordings.example.com/' || session_id || '.mp4' end,
    case when shopper % 6 = 0 then '{vip,returning}'::text[] else '{}' end,
    created_at + interval '1 hour', created_at + interval '1 hour'
from (
    select
        *,
        status = 'completed' as answered,
        (
            lpad(to_hex((extract(epoch from created_at) * 1000)::bigint), 12, '0') || '7' || substr(digits, 1, 3)
            || '8' || substr(digits, 4, 15)
        )::uuid as session_id
    from (
        select
            client_id, sequence, shopper, digits,
            timestamptz '2024-01-01 08:00Z' + interval '31 seconds' * (sequence * (1000000.0 / total)) as created_at,
            interval '1 second' * (3 + shopper % 90) as wait,
            interval '1 second' * (60 + shopper % 1500) as duration,
            ('{completed,completed,completed,completed,completed,missed,abandoned,declined}'::text[])[1 + shopper % 8] as status,
            ('{video,video,video,audio,chat}'::text[])[1 + shopper % 5] as channel,
            ('{widget,widget,link,qr,phone}'::text[])[1 + shopper % 5] as source,
            ('{Sofas,Kitchens,Lighting,Returns}'::text[])[1 + shopper % 4] as queue_name,
            ('{Amélie Laurent,Jonas Weber,Priya Nair,Sofia Rossi,Tom Becker}'::text[])[1 + shopper % 5] as agent,
            ('{Nora Lindqvist,Luca Moretti,Hannah Schulz,Chloé Dubois,Ewa Kowalska,Oliver Smith,Anna de Vries}'::text[])[1 + shopper % 7] as shopper_name,
            ('{SE,IT,DE,FR,PL,GB,NL}'::text[])[1 + shopper % 7] as shopper_country
        from (
            select client_id, total, sequence, (random() * 40000)::integer as shopper, md5(random()::text) as digits
            from
                unnest($1, $2) as clients (client_id, total),
                generate_series(1, total) as sequences (sequence)
            order by sequence::float / total
        ) as drawn
    ) as timed
) as complete
