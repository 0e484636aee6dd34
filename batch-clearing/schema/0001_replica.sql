-- The copy of the ledger's journals, what is netted from it, and what the night's work leaves behind.
-- Amounts are whole minor units of their currency. Times of the books are China time without a zone, as in the journal;
-- times of this database's own doings carry a zone.

-- How far each shard's journal is copied. Written in the transaction that brings the rows: that is what makes the copy
-- exactly once.
CREATE TABLE replication_position (
    shard        smallint    PRIMARY KEY CHECK (shard BETWEEN 0 AND 63),
    sequence     bigint      NOT NULL CHECK (sequence >= 0),
    head         bytea       NOT NULL CHECK (octet_length(head) = 32),
    -- next offset to read of the shard's partition; stays where it is while the ledger's own stream is read
    kafka_offset bigint      NOT NULL DEFAULT 0 CHECK (kafka_offset >= 0),
    committed_at timestamptz NOT NULL DEFAULT now()
);

-- Partitioned by business date: the date of the batch for transfers, the date of the commit for everything else.
CREATE TABLE journal_record (
    business_date date      NOT NULL,
    shard         smallint  NOT NULL,
    sequence      bigint    NOT NULL,
    hash          bytea     NOT NULL,
    committed_at  timestamp NOT NULL,
    encoded       bytea     NOT NULL,
    PRIMARY KEY (business_date, shard, sequence)
) PARTITION BY LIST (business_date);

CREATE TABLE transfer (
    business_date     date      NOT NULL,
    shard             smallint  NOT NULL,
    sequence          bigint    NOT NULL,
    issuer            text      NOT NULL,
    category          text      NOT NULL,
    transfer_id       text      NOT NULL,
    kind              text      NOT NULL,
    minor             bigint    NOT NULL CHECK (minor > 0),
    currency          char(3)   NOT NULL,
    batch_id          text      NOT NULL,
    institution       text      NOT NULL,
    agreement         text,
    account           bytea,
    original_category text,
    original_id       text,
    -- null: posted
    refusal           text,
    serial            text      NOT NULL,
    decided_at        timestamp NOT NULL,
    evidence          bytea     NOT NULL,
    PRIMARY KEY (business_date, shard, sequence)
) PARTITION BY LIST (business_date);

-- No index: entries are only ever read by the day, and they are half of all rows.
CREATE TABLE entry (
    business_date date     NOT NULL,
    shard         smallint NOT NULL,
    sequence      bigint   NOT NULL,
    line          smallint NOT NULL,
    -- customer, network_clearing, opening_balances, suspense, fee, stand_in_advance
    account_kind  text     NOT NULL,
    account       bytea,
    batch_id      text,
    -- D, C
    side          text     NOT NULL,
    minor         bigint   NOT NULL CHECK (minor > 0),
    currency      char(3)  NOT NULL
) PARTITION BY LIST (business_date);

-- Accounts and agreements as the journal brought them; the newest row of a number is the one in force.
CREATE TABLE account_opening (
    shard    smallint NOT NULL,
    sequence bigint   NOT NULL,
    account  bytea    NOT NULL,
    name     bytea    NOT NULL,
    status   text     NOT NULL,
    minor    bigint   NOT NULL,
    currency char(3)  NOT NULL,
    PRIMARY KEY (shard, sequence)
);

CREATE TABLE agreement_version (
    shard               smallint NOT NULL,
    sequence            bigint   NOT NULL,
    number              text     NOT NULL,
    account             bytea    NOT NULL,
    institution         text     NOT NULL,
    status              text     NOT NULL,
    single_max_minor    bigint   NOT NULL,
    single_max_currency char(3)  NOT NULL,
    daily_max_minor     bigint   NOT NULL,
    daily_max_currency  char(3)  NOT NULL,
    daily_count_max     bigint   NOT NULL,
    expires             date     NOT NULL,
    PRIMARY KEY (shard, sequence)
);

CREATE TABLE batch (
    batch_id      text        PRIMARY KEY,
    business_date date        NOT NULL,
    state         text        NOT NULL CHECK (state IN ('open', 'closed')),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    closed_at     timestamptz,
    CHECK ((state = 'closed') = (closed_at IS NOT NULL))
);
CREATE INDEX batch_by_date ON batch (business_date);

-- One row per shard, so that shards never wait for each other. Debit: the institution owes; credit: it is owed.
CREATE TABLE net_position (
    batch_id     text     NOT NULL,
    institution  text     NOT NULL,
    currency     char(3)  NOT NULL,
    shard        smallint NOT NULL,
    posted       bigint   NOT NULL,
    debit_minor  bigint   NOT NULL,
    credit_minor bigint   NOT NULL,
    PRIMARY KEY (batch_id, institution, currency, shard)
) WITH (fillfactor = 50);

-- The marker that closing moves: what came in a shard after `sequence` came too late for the day.
CREATE TABLE closing (
    business_date date        PRIMARY KEY,
    closed_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE closing_position (
    business_date date     NOT NULL REFERENCES closing,
    shard         smallint NOT NULL,
    sequence      bigint   NOT NULL,
    head          bytea    NOT NULL,
    PRIMARY KEY (business_date, shard)
);

-- Transfers of a closed day that arrived after it was closed. They are in no net position.
CREATE VIEW late_transfer AS
SELECT t.*
FROM transfer t
JOIN closing c USING (business_date)
LEFT JOIN closing_position p USING (business_date, shard)
WHERE t.sequence > COALESCE(p.sequence, 0);

CREATE TABLE reconciliation_run (
    run_id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    business_date   date        NOT NULL,
    finished_at     timestamptz NOT NULL DEFAULT now(),
    own_transfers   bigint      NOT NULL,
    statement_lines bigint      NOT NULL,
    matched         bigint      NOT NULL,
    not_compared    bigint      NOT NULL
);
CREATE INDEX reconciliation_run_by_date ON reconciliation_run (business_date, run_id);

CREATE TABLE reconciliation_difference (
    run_id             bigint NOT NULL REFERENCES reconciliation_run,
    line               bigint NOT NULL,
    class              text   NOT NULL,
    category           text,
    transfer_id        text,
    our_batch          text,
    their_batch        text,
    our_institution    text,
    their_institution  text,
    our_amount         text,
    their_amount       text,
    our_status         text,
    their_status       text,
    PRIMARY KEY (run_id, line)
);

CREATE TABLE reconciliation_file_fault (
    run_id bigint NOT NULL REFERENCES reconciliation_run,
    line   bigint NOT NULL,
    file   text   NOT NULL,
    reason text   NOT NULL,
    PRIMARY KEY (run_id, line)
);

-- What a night's run has finished, so that the next run goes on after it.
CREATE TABLE night_step (
    business_date date        NOT NULL,
    step          text        NOT NULL,
    finished_at   timestamptz NOT NULL DEFAULT now(),
    -- clean, differences
    outcome       text        NOT NULL,
    figures       jsonb       NOT NULL,
    PRIMARY KEY (business_date, step)
);
