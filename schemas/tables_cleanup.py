"""Our table of the clean-up: the recycle bin of posts."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from schemas.tables import Timestamp, metadata

deleted_posts = sa.Table(
    "deleted_posts",
    metadata,
    sa.Column("post_id", sa.Text, primary_key=True),
    sa.Column("deleted_at", Timestamp, primary_key=True, server_default=sa.func.now()),
    sa.Column("author_id", sa.Text, nullable=False),
    sa.Column("run_id", UUID(as_uuid=True), nullable=False),
    sa.Column("rows", JSONB, nullable=False),
    sa.Column("files", JSONB, nullable=False, server_default="[]"),
)
"""``rows``: [{"schema", "table", "rows": [{column: text or null}]}], each table after those that it refers to.
``files``: keys of the post's own picture and video, relative to the media root.
"""
