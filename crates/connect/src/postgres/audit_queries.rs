//! The comparisons of an audit, in SQL: what should be there, from the events, against what is there.

/// Where expected events go, page by page.
pub(super) const CREATE_EXPECTED: &str = "CREATE TEMPORARY TABLE expected (
    event_offset bigint PRIMARY KEY, at timestamptz, kind text, key text, reservation text, body jsonb)";

pub(super) const COPY_EXPECTED: &str =
    "COPY pg_temp.expected (event_offset, at, kind, key, reservation, body) FROM STDIN (FORMAT binary)";

/// From one offset up to another: offset, `missing`, `unexpected` or `different`, and a text.
pub(super) const COMPARE_EVENTS: &str = "
    SELECT event_offset,
        CASE WHEN e IS NULL THEN 'unexpected' WHEN s IS NULL THEN 'missing' ELSE 'different' END,
        'offset ' || event_offset || CASE WHEN e IS NULL OR s IS NULL THEN ''
            ELSE ': ' || concat_ws(', ',
                CASE WHEN e.at IS DISTINCT FROM s.at THEN 'at' END,
                CASE WHEN e.kind IS DISTINCT FROM s.kind THEN 'kind' END,
                CASE WHEN e.key IS DISTINCT FROM s.key THEN 'key' END,
                CASE WHEN e.reservation IS DISTINCT FROM s.reservation THEN 'reservation' END,
                CASE WHEN e.body IS DISTINCT FROM s.body THEN 'body' END) END
    FROM (SELECT * FROM pg_temp.expected WHERE event_offset >= $1 AND event_offset < $2) e
    FULL JOIN (SELECT * FROM events WHERE event_offset >= $1 AND event_offset < $2) s USING (event_offset)
    WHERE (e.at, e.kind, e.key, e.reservation, e.body) IS DISTINCT FROM (s.at, s.kind, s.key, s.reservation, s.body)
    ORDER BY event_offset";

/// Each gives a text for every row that is not what the events say.
pub(super) const STATE_QUERIES: [&str; 8] =
    [RESERVATIONS, UNITS, SALES, STOCKS, COUNTERS, HISTORY, HISTORY_IDS, WINDOWS];

/// A reservation is as it was reserved, with the status that the last event about it gave it.
const RESERVATIONS: &str = "
    WITH described AS MATERIALIZED (
        SELECT reservation, max(event_offset) AS last_offset,
            min(event_offset) FILTER (WHERE kind = 'reservation.reserved') AS first_offset
        FROM events WHERE reservation IS NOT NULL GROUP BY reservation
    ), wanted AS (
        SELECT described.reservation, first.key AS sale, first.body->>'customer' AS customer, first.body->'lines' AS lines,
            first.body->'details' AS details, first.body->>'idempotency_key' AS idempotency_key,
            first.at AS created_at, (first.body->>'expires_at')::timestamptz AS expires_at, first_offset,
            last.body->>'status' AS status, last_offset,
            CASE WHEN last.body->>'status' <> 'held' THEN last.at END AS settled_at
        FROM described
        JOIN events first ON first.event_offset = described.first_offset
        JOIN events last ON last.event_offset = described.last_offset
    )
    SELECT 'reservation ' || coalesce(w.reservation, r.reservation) || CASE
        WHEN r.reservation IS NULL THEN ' has no row'
        WHEN w.reservation IS NULL THEN ' has a row, and no event'
        WHEN w.status IS DISTINCT FROM r.status THEN ' is ' || r.status || ', and should be ' || w.status
        WHEN w.lines IS DISTINCT FROM r.lines THEN ' has other lines'
        ELSE ' has another content' END
    FROM wanted w FULL JOIN reservations r ON r.reservation = w.reservation
    WHERE (w.sale, w.customer, w.lines, w.details, w.idempotency_key, w.created_at, w.expires_at, w.first_offset,
            w.status, w.settled_at, w.last_offset)
        IS DISTINCT FROM (r.sale, r.customer, r.lines, r.details, r.idempotency_key, r.created_at, r.expires_at,
            r.created_offset, r.status, r.settled_at, r.updated_offset)";

/// A stock has the units that its reservations hold and have confirmed.
const UNITS: &str = "
    WITH taken AS MATERIALIZED (
        SELECT r.sale_no, line.stock COLLATE \"C\" AS stock,
            coalesce(sum(line.quantity) FILTER (WHERE r.status = 'held'), 0) AS held,
            coalesce(sum(line.quantity) FILTER (WHERE r.status = 'confirmed'), 0) AS confirmed
        FROM reservations r, jsonb_to_recordset(r.lines) AS line (stock text, quantity int)
        WHERE r.status IN ('held', 'confirmed') GROUP BY 1, 2
    )
    SELECT format('stock %s of sale %s has %s held and %s confirmed, and its reservations %s and %s', s.stock, s.sale_no,
        s.quantity_held, s.quantity_confirmed, coalesce(t.held, 0), coalesce(t.confirmed, 0))
    FROM stocks s LEFT JOIN taken t ON t.sale_no = s.sale_no AND t.stock = s.stock AND NOT s.removed
    WHERE (s.quantity_held, s.quantity_confirmed) IS DISTINCT FROM (coalesce(t.held, 0), coalesce(t.confirmed, 0))";

/// A sale has the terms of the event that its row names, and no later event of that name is about an older row.
const SALES: &str = "
    WITH described AS MATERIALIZED (
        SELECT event_offset, at, kind, key, body, count(*) FILTER (WHERE kind = 'sale.archived')
                OVER (PARTITION BY key ORDER BY event_offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS life
        FROM events WHERE kind IN ('sale.put', 'sale.archived')
    ), wanted AS (
        SELECT DISTINCT ON (key, life) key AS sale, max(event_offset) OVER every AS last_offset,
            max(at) FILTER (WHERE kind = 'sale.archived') OVER every AS archived_at,
            body->>'title' AS title, (body->>'opens_at')::timestamptz AS opens_at,
            (body->>'closes_at')::timestamptz AS closes_at, (body->>'per_customer_max')::bigint AS per_customer_max,
            (body->>'hold_ttl_ms')::bigint AS hold_ttl_ms, kind
        FROM described WINDOW every AS (PARTITION BY key, life) ORDER BY key, life, kind = 'sale.put' DESC, event_offset DESC
    )
    SELECT format('sale %s (number %s) is not as the events say', coalesce(w.sale, s.sale), s.sale_no)
    FROM (SELECT * FROM wanted WHERE kind = 'sale.put') w FULL JOIN sales s ON s.updated_offset = w.last_offset
    WHERE (w.sale, w.title, w.opens_at, w.closes_at, w.per_customer_max, w.hold_ttl_ms, w.archived_at)
        IS DISTINCT FROM (s.sale, s.title, s.opens_at, s.closes_at, s.per_customer_max, s.hold_ttl_ms, s.archived_at)";

/// A sale has the stocks of its last put, the others are removed.
const STOCKS: &str = "
    WITH put AS MATERIALIZED (SELECT event_offset, key, body FROM events WHERE kind = 'sale.put'),
    wanted AS (
        SELECT s.sale_no, line.*
        FROM sales s
        CROSS JOIN LATERAL (SELECT body FROM put WHERE put.key = s.sale AND put.event_offset <= s.updated_offset
            ORDER BY put.event_offset DESC LIMIT 1) last
        CROSS JOIN LATERAL jsonb_to_recordset(last.body->'stocks') AS line
            (stock text, title text, starts_at timestamptz, ends_at timestamptz, closes_at timestamptz, quantity_total bigint)
    )
    SELECT format('stock %s of sale %s is not as the events say', coalesce(w.stock, s.stock),
        coalesce(w.sale_no, s.sale_no))
    FROM wanted w FULL JOIN (SELECT * FROM stocks WHERE NOT removed) s
        ON s.sale_no = w.sale_no AND s.stock = w.stock
    WHERE (w.title, w.starts_at, w.ends_at, w.closes_at, w.quantity_total)
        IS DISTINCT FROM (s.title, s.starts_at, s.ends_at, s.closes_at, s.quantity_total)";

const COUNTERS: &str = "
    SELECT format('counter %s has %s, and should have %s', coalesce(w.key, c.counter), c.value, w.value)
    FROM (SELECT DISTINCT ON (key) key, event_offset, at, (body->>'value')::bigint AS value
        FROM events WHERE kind = 'counter.added' ORDER BY key, event_offset DESC) w
    FULL JOIN counters c ON c.counter = w.key
    WHERE (w.value, w.at, w.event_offset) IS DISTINCT FROM (c.value, c.updated_at, c.updated_offset)";

/// The rows of an event stand for each of its values once, whether they are one row or one each.
const HISTORY: &str = "
    WITH kept AS (
        SELECT event_offset, min(counter) AS counter, max(counter) AS other_counter, sum(by) AS by, max(value) AS value,
            min(value - by) AS value_before, count(DISTINCT value) = count(*) AS is_each_once,
            min(at) AS at, max(at) AS other_at
        FROM counter_history GROUP BY event_offset
    ), described AS (
        SELECT event_offset, key, at, (body->>'by')::bigint AS by, (body->>'value')::bigint AS value
        FROM events WHERE kind = 'counter.added'
    )
    SELECT format('counter_history stands for %s additions of the event at offset %s, and should for %s with the values up to %s',
        coalesce(k.by, 0), coalesce(t.event_offset, k.event_offset), coalesce(t.by, 0), t.value)
    FROM described t FULL JOIN kept k USING (event_offset)
    WHERE (t.key, t.key, t.by, t.value, t.value - t.by, true, t.at, t.at) IS DISTINCT FROM
        (k.counter, k.other_counter, k.by, k.value, k.value_before, k.is_each_once, k.at, k.other_at)";

/// Ids run from 1 without gaps.
const HISTORY_IDS: &str = "
    SELECT format('counter_history has %s rows with %s ids from %s to %s, and should have %s', h.row_count, h.id_count,
        h.first_id, h.last_id, s.next_row_id - 1)
    FROM (SELECT count(*) AS row_count, count(DISTINCT id) AS id_count, min(id) AS first_id, max(id) AS last_id
        FROM counter_history) h, sinks s
    WHERE (h.row_count, h.id_count, coalesce(h.first_id, 1), coalesce(h.last_id, 0))
        IS DISTINCT FROM (s.next_row_id - 1, s.next_row_id - 1, 1, s.next_row_id - 1)";

const WINDOWS: &str = "
    SELECT format('window %s has another shape than the events say', coalesce(w.key, k.\"window\"))
    FROM (SELECT DISTINCT ON (key) key, event_offset, at, (body->>'span_ms')::bigint AS span_ms,
            (body->>'precision_ms')::bigint AS precision_ms
        FROM events WHERE kind = 'window.put' ORDER BY key, event_offset DESC) w
    FULL JOIN windows k ON k.\"window\" = w.key
    WHERE (w.span_ms, w.precision_ms, w.at, w.event_offset) IS DISTINCT FROM
        (k.span_ms, k.precision_ms, k.updated_at, k.updated_offset)";
