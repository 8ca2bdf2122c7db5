"""What `tailrace attach` keeps: how far its backfills have come, and whose events the database says."""

import sqlalchemy as sa

from schemas.tables import Timestamp, metadata

backfills = sa.Table(
    "backfills",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("since", Timestamp, primary_key=True),
    sa.Column("position", sa.Text),
    sa.Column("looked_at", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("said", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("set_aside", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("started_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("finished_at", Timestamp),
)

event_source = sa.Table(
    "event_source",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("source", sa.Text, nullable=False),
)
