-- Posts that were cleaned up, with all rows that went with them, until they are purged.
-- Each value in `rows` is the column's text, from which PostgreSQL makes exactly the same value again.
CREATE TABLE tailrace.deleted_posts (
    post_id    text        NOT NULL,
    deleted_at timestamptz NOT NULL DEFAULT now(),
    author_id  text        NOT NULL,
    run_id     uuid        NOT NULL,
    rows       jsonb       NOT NULL,
    files      jsonb       NOT NULL DEFAULT '[]',
    PRIMARY KEY (post_id, deleted_at)
)
-- ;
CREATE INDEX deleted_posts_oldest ON tailrace.deleted_posts (deleted_at)
-- ;
CREATE INDEX deleted_posts_author ON tailrace.deleted_posts (author_id)
