-- A mail to a mailbox that is not there is bounced; one to somebody who wants none is suppressed. `error`: why.
ALTER TABLE tailrace.mail_deliveries
    ADD COLUMN error text,
    DROP CONSTRAINT mail_deliveries_state_check,
    ADD CONSTRAINT mail_deliveries_state_check
        CHECK (state IN ('intent', 'sending', 'sent', 'uncertain', 'refused', 'bounced', 'suppressed'))
-- ;
-- To whom no mail goes: an address for all mails (`*`) or, a user, for one mailing list.
CREATE TABLE tailrace.suppressions (
    kind         text        NOT NULL CHECK (kind IN ('address', 'user')),
    value        text        NOT NULL,
    mailing_list text        NOT NULL,
    reason       text        NOT NULL CHECK (reason IN ('bounced', 'complained', 'unsubscribed', 'by_hand')),
    detail       text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, value, mailing_list)
)
-- ;
-- The digests of an ISO week: which posts are everybody's best, and how many are due at one instant (`slots`), so
-- that they are spread.
CREATE TABLE tailrace.digest_editions (
    week        text        PRIMARY KEY,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    best        jsonb       NOT NULL,
    slots       jsonb       NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now()
)
