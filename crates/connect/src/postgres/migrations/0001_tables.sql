-- What the log says, event by event, and what follows from it. Texts are compared by their bytes, as onrush does.

CREATE TABLE sinks (
    sink        text COLLATE "C" PRIMARY KEY,
    log_id      text COLLATE "C" NOT NULL,
    partition   integer NOT NULL,
    fence       bigint NOT NULL,
    runner      text COLLATE "C" NOT NULL,
    next_offset bigint,
    next_row_id bigint NOT NULL,
    updated_at  timestamptz NOT NULL
) WITH (fillfactor = 50);
COMMENT ON TABLE sinks IS 'Who writes this schema, and the offset of the first event that is not in it. Changed in the transaction of the rows.';

CREATE TABLE events (
    event_offset bigint PRIMARY KEY,
    at           timestamptz NOT NULL,
    kind         text COLLATE "C" NOT NULL,
    key          text COLLATE "C" NOT NULL,
    reservation  text COLLATE "C",
    body         jsonb NOT NULL
);
COMMENT ON TABLE events IS 'Every selected event, once, in the order of the log. Only grows.';

CREATE TABLE sales (
    sale_no          bigint PRIMARY KEY,
    sale             text COLLATE "C" NOT NULL,
    title            text NOT NULL,
    opens_at         timestamptz,
    closes_at        timestamptz,
    per_customer_max bigint,
    hold_ttl_ms      bigint NOT NULL,
    archived_at      timestamptz,
    updated_offset   bigint NOT NULL
);

CREATE TABLE stocks (
    sale_no            bigint NOT NULL,
    stock_no           integer NOT NULL,
    stock              text COLLATE "C" NOT NULL,
    title              text NOT NULL,
    starts_at          timestamptz,
    ends_at            timestamptz,
    quantity_total     bigint NOT NULL,
    quantity_held      bigint NOT NULL DEFAULT 0,
    quantity_confirmed bigint NOT NULL DEFAULT 0,
    removed            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (sale_no, stock_no)
) WITH (fillfactor = 50);
CREATE INDEX stocks_by_name ON stocks (sale_no, stock);

CREATE TABLE reservations (
    sale_no         bigint NOT NULL,
    reservation_seq bigint NOT NULL,
    reservation     text COLLATE "C" NOT NULL,
    sale            text COLLATE "C" NOT NULL,
    customer        text COLLATE "C" NOT NULL,
    lines           jsonb NOT NULL,
    details         jsonb,
    idempotency_key text COLLATE "C",
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz,
    created_offset  bigint NOT NULL,
    status          text COLLATE "C" NOT NULL,
    settled_at      timestamptz,
    updated_offset  bigint NOT NULL,
    PRIMARY KEY (sale_no, reservation_seq)
);
CREATE INDEX reservations_by_id ON reservations USING hash (reservation);
COMMENT ON COLUMN reservations.settled_at IS 'When the status last changed; null while it is held for the first time.';

CREATE TABLE counters (
    counter        text COLLATE "C" PRIMARY KEY,
    value          bigint NOT NULL,
    updated_at     timestamptz NOT NULL,
    updated_offset bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE counter_history (
    id           bigint NOT NULL,
    event_offset bigint NOT NULL,
    counter      text COLLATE "C" NOT NULL,
    by           bigint NOT NULL,
    value        bigint NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (counter, id)
);
COMMENT ON COLUMN counter_history.id IS 'From 1 without gaps, over all counters.';

CREATE TABLE windows (
    "window"       text COLLATE "C" PRIMARY KEY,
    span_ms        bigint NOT NULL,
    precision_ms   bigint NOT NULL,
    updated_at     timestamptz NOT NULL,
    updated_offset bigint NOT NULL
);

CREATE TABLE skipped (
    sink        text COLLATE "C" NOT NULL,
    from_offset bigint NOT NULL,
    to_offset   bigint NOT NULL,
    at          timestamptz NOT NULL,
    reason      text NOT NULL,
    PRIMARY KEY (sink, from_offset)
);
COMMENT ON TABLE skipped IS 'Events that an operator had left out.';
