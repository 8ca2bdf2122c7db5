-- `colour` is the dominant one, #rrggbb; `format` what the file is, by its content; `frames` how many move.
ALTER TABLE tailrace.media_assets
    ADD COLUMN colour text,
    ADD COLUMN format text,
    ADD COLUMN frames integer
-- ;
-- Which assets are behind the recipe of today.
CREATE INDEX media_assets_updated ON tailrace.media_assets (updated_at)
-- ;
-- The id that one cause has however often and by whomever it is said; the same as Fact.natural_id in Python.
-- A post with a picture and a video has both in its id: attaching the second is an event of its own.
CREATE OR REPLACE FUNCTION tailrace.natural_id(type text, data jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT type || ':' || CASE type
        WHEN 'user.created' THEN data ->> 'user_id'
        WHEN 'user.deleted' THEN data ->> 'user_id'
        WHEN 'post.deleted' THEN data ->> 'post_id'
        WHEN 'post.uploaded' THEN (data ->> 'post_id')
            || coalesce(':' || nullif(data ->> 'image', ''), '') || coalesce(':' || nullif(data ->> 'video', ''), '')
        WHEN 'post.tagged' THEN (data ->> 'post_id') || ':' || coalesce((
            SELECT string_agg(tag, ',' ORDER BY tag COLLATE "C") FROM jsonb_array_elements_text(data -> 'hashtags') AS t (tag)), '')
        END
$$
