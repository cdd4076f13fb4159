-- The tables as people ask for them.

CREATE VIEW reservation_lines AS
    SELECT r.sale_no, r.reservation_seq, r.reservation, r.sale, r.customer, r.status, line.stock, line.quantity
    FROM reservations r, jsonb_to_recordset(r.lines) AS line (stock text, quantity integer);

CREATE VIEW m_visitor AS
    SELECT id, at AS created_at, at AS updated_at, NULL::timestamptz AS deleted_at, value AS counter
    FROM counter_history
    WHERE counter = 'web-counter';
COMMENT ON VIEW m_visitor IS 'The visits of the counter web-counter; a row per visit if the sink has rows = "visit".';
