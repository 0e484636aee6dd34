-- Transfers that a new one of the same key does not meet in the primary key of `transfer`: taken in for another shard, or
-- brought by a shard that moved here. They are few, and looked for by themselves.
CREATE INDEX transfer_beside ON transfer (key) WHERE is_hopped OR also <> 0;
