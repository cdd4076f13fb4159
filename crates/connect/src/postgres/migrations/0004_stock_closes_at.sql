-- When a stock takes no more reservations. Null: it closes with its sale, as every stock did before this version.
ALTER TABLE stocks ADD COLUMN closes_at timestamptz;
