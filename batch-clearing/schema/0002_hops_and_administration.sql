-- What version 2 of the journal can say: transfers taken in for a shard that could not be reached, and what operators did.

-- Taken in by `shard` for `home`; the transfer stands under the same shard and sequence.
CREATE TABLE hop (
    shard         smallint NOT NULL,
    sequence      bigint   NOT NULL,
    business_date date     NOT NULL,
    issuer        text     NOT NULL,
    category      text     NOT NULL,
    transfer_id   text     NOT NULL,
    home          smallint NOT NULL,
    attempt       smallint NOT NULL,
    epoch         bigint   NOT NULL,
    PRIMARY KEY (shard, sequence)
);
CREATE INDEX hop_by_date ON hop (business_date);

-- What a hop came to at its home.
CREATE TABLE hop_settlement (
    shard         smallint NOT NULL,
    sequence      bigint   NOT NULL,
    business_date date     NOT NULL,
    issuer        text     NOT NULL,
    category      text     NOT NULL,
    transfer_id   text     NOT NULL,
    account       bytea,
    -- null: the money is where it belongs
    refusal       text,
    PRIMARY KEY (shard, sequence)
);

-- Closed by the shard that took it in.
CREATE TABLE hop_closing (
    shard         smallint NOT NULL,
    sequence      bigint   NOT NULL,
    business_date date     NOT NULL,
    issuer        text     NOT NULL,
    category      text     NOT NULL,
    transfer_id   text     NOT NULL,
    -- settled, compensated, unapplied
    state         text     NOT NULL,
    -- of an unapplied one
    refusal       text,
    PRIMARY KEY (shard, sequence)
);
CREATE INDEX hop_closing_by_date ON hop_closing (business_date);

-- Posted at home after all, so that what was taken in elsewhere was taken back: no order of its own.
CREATE VIEW compensated_transfer AS
SELECT h.business_date, h.shard, h.sequence, c.sequence AS closed_sequence
FROM hop h
JOIN hop_closing c USING (business_date, shard, issuer, category, transfer_id)
WHERE c.state = 'compensated';

-- Hops whose end is not here yet.
CREATE VIEW open_hop AS
SELECT h.*
FROM hop h
LEFT JOIN hop_closing c USING (business_date, shard, issuer, category, transfer_id)
WHERE c.sequence IS NULL;

CREATE TABLE administration (
    shard        smallint  NOT NULL,
    sequence     bigint    NOT NULL,
    committed_at timestamp NOT NULL,
    -- account_status, account_limits, agreement_status, agreement_terms, close_through
    act          text      NOT NULL,
    account      bytea,
    agreement    text,
    -- what it is from then on
    detail       text      NOT NULL,
    operator     text      NOT NULL,
    reason       text      NOT NULL,
    PRIMARY KEY (shard, sequence)
);
