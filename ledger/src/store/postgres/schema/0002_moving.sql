-- Shards move between groups while they are in use.

-- Where the shard went: this row is left as a signpost. Null where it is here, or arrives.
ALTER TABLE shard ADD COLUMN moved_to text;
-- The group it is being brought from: not open for orders yet. `sequence` is then what has been brought of the journal,
-- `flushed` -1 until the rows are all there.
ALTER TABLE shard ADD COLUMN arrives_from text;
-- Raised for every other shard of the database in the transaction in which a shard leaves. Whoever writes one of them
-- learns of it with the lock on its row, before it relies on the keys of the one that left.
ALTER TABLE shard ADD COLUMN moves bigint NOT NULL DEFAULT 0;
-- The last record it had here. Nothing is added to what has left, whichever program tries.
ALTER TABLE shard ADD COLUMN left_at bigint;
ALTER TABLE shard ADD CONSTRAINT shard_left_whole
    CHECK ((left_at IS NULL) = (moved_to IS NULL) AND sequence = coalesce(left_at, sequence));

-- What is posted here is under 0, so a key posts once. A shard that arrives may bring a key that another shard here has
-- already: one key used in two groups, or two hops of one. It keeps it under its own number and one.
ALTER TABLE transfer ADD COLUMN also smallint NOT NULL DEFAULT 0;
ALTER TABLE transfer DROP CONSTRAINT transfer_pkey;
ALTER TABLE transfer ADD PRIMARY KEY (key, is_hopped, also);
