-- A shard group's database. Everything is in the schema `ledger`, which the connection's search path names.

-- What the database was made for: the count of shards over all groups is fixed for the life of the data.
CREATE TABLE book (
    shards smallint NOT NULL
);

-- One row for each shard that lives here. Whoever writes the shard holds its row's lock from the beginning to the
-- commit of a group: that, and nothing else, puts groups in order.
CREATE TABLE shard (
    shard    smallint PRIMARY KEY,
    -- Raised by every connection that is made to write the shard.
    epoch    bigint   NOT NULL,
    -- Number of the last journal record.
    sequence bigint   NOT NULL,
    -- What groups up to this record left behind stands in `held`; what later ones left, in `frame` alone.
    flushed  bigint   NOT NULL,
    state    bytea    NOT NULL
) WITH (fillfactor = 10);
ALTER TABLE shard ALTER COLUMN state SET STORAGE PLAIN;

-- A committed group: its records with what their messages said beyond them, the rows as they stand after it, the
-- evidence. Compressed by the program where that pays, and cut up rather than compressed by the server.
CREATE TABLE frame (
    shard    smallint NOT NULL,
    last     bigint   NOT NULL,
    first    bigint   NOT NULL,
    items    bytea    NOT NULL,
    rows     bytea    NOT NULL,
    evidence bytea    NOT NULL,
    PRIMARY KEY (shard, last)
);
ALTER TABLE frame ALTER COLUMN items SET STORAGE EXTERNAL;
ALTER TABLE frame ALTER COLUMN rows SET STORAGE EXTERNAL;
ALTER TABLE frame ALTER COLUMN evidence SET STORAGE EXTERNAL;

-- Idempotency, over all shards that live here (invariant L4): the day in a transfer's id, then twelve bytes of the
-- SHA-256 of its key, and where the record lies that decided it.
CREATE TABLE transfer (
    key       uuid     NOT NULL,
    sequence  bigint   NOT NULL,
    -- Minor units refunded of it; -1 where it was reversed.
    returned  bigint   NOT NULL,
    place     integer  NOT NULL,
    length    integer  NOT NULL,
    shard     smallint NOT NULL,
    -- Taken in for another shard, whose own record of it may come to live here too.
    is_hopped boolean  NOT NULL,
    PRIMARY KEY (key, is_hopped)
) WITH (fillfactor = 95);

-- Rows of the books by shard, kind and packed key: what they were some groups ago, see `shard.flushed`.
CREATE TABLE held (
    key   bytea NOT NULL PRIMARY KEY,
    value bytea NOT NULL
) WITH (fillfactor = 75);
ALTER TABLE held ALTER COLUMN key SET STORAGE PLAIN;
ALTER TABLE held ALTER COLUMN value SET STORAGE PLAIN;

-- Keys of the hops in `held` that are open, or that their home refused.
CREATE TABLE open_hop (
    key bytea NOT NULL PRIMARY KEY
);
