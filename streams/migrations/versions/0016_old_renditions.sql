-- Files of renditions that no row names any more; they are deleted when no page can still show them. `folder`: of the post.
CREATE TABLE tailrace.media_leftovers (
    key     text        PRIMARY KEY,
    folder  text        NOT NULL,
    left_at timestamptz NOT NULL DEFAULT now()
)
-- ;
CREATE INDEX media_leftovers_folder ON tailrace.media_leftovers (folder)
-- ;
CREATE INDEX media_leftovers_oldest ON tailrace.media_leftovers (left_at, key)
-- ;
-- Whether a file has a row.
CREATE INDEX media_renditions_key ON tailrace.media_renditions (key)
