CREATE TABLE IF NOT EXISTS orders (
    id          TEXT PRIMARY KEY,
    customer    TEXT NOT NULL,
    item        TEXT NOT NULL,
    quantity    INT NOT NULL,
    reminder_id TEXT NOT NULL,
    is_paid     BOOLEAN NOT NULL DEFAULT FALSE
);
