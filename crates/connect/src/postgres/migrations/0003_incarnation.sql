-- The incarnation of the log in which the event before next_offset was decided. It tells the history of the log from that of an
-- older copy of its directory which went on by itself. Null: nobody has written it yet.
ALTER TABLE sinks ADD COLUMN incarnation bigint;
