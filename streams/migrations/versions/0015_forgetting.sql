-- Addresses of forgotten users are kept as hashes with this salt, which nobody else has. It is made for the first of them.
CREATE TABLE tailrace.address_salt (
    id   boolean PRIMARY KEY DEFAULT true CHECK (id),
    salt text    NOT NULL
)
-- ;
-- What stands in tailrace.suppressions for an address that nobody is to read there; NULL while there is no salt.
CREATE FUNCTION tailrace.hashed_address(address text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'sha256:' || encode(sha256(convert_to(salt || address, 'UTF8')), 'hex') FROM tailrace.address_salt
$$
-- ;
-- Whom the ledger and the outbox do not name any more, since another's run has erased many at once. Their own runs
-- take these rows out.
CREATE TABLE tailrace.forgotten (
    kind       text        NOT NULL CHECK (kind IN ('user', 'post')),
    subject_id text        NOT NULL,
    traces     jsonb       NOT NULL,
    erased_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, subject_id)
)
