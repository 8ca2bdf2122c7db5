"""Files of renditions that are to be deleted when no page can still show them."""

import sqlalchemy as sa

from schemas.tables import Timestamp, metadata

media_leftovers = sa.Table(
    "media_leftovers",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("left_at", Timestamp, nullable=False, server_default=sa.func.now()),
)
