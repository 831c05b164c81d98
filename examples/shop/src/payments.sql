CREATE TABLE IF NOT EXISTS prices (
    item  TEXT PRIMARY KEY,
    cents BIGINT NOT NULL
);
INSERT INTO prices VALUES ('tea', 450), ('milk', 120) ON CONFLICT DO NOTHING;

-- No unique key on order_id, so that a payment that is taken twice can be seen. In your own table, add one.
CREATE TABLE IF NOT EXISTS payments (
    id       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id TEXT NOT NULL,
    cents    BIGINT NOT NULL
);
