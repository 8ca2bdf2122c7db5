-- The engagement score of each post, and since when it is that. Whole pages are kept from growing by free space:
-- scores of young posts change each day.
CREATE TABLE tailrace.post_engagement (
    post_id     text             COLLATE "C" PRIMARY KEY,
    score       double precision NOT NULL,
    computed_at timestamptz      NOT NULL
) WITH (fillfactor = 85)
-- ;
-- The order of the posts' own keys, by which ranges of both are compared: numbers by length, then digits; UUIDs have
-- one length.
CREATE INDEX post_engagement_in_order ON tailrace.post_engagement (length(post_id), post_id)
