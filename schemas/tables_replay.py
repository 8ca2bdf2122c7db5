"""The tables of replays: what was asked for, how far it is, and what came of it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables import Timestamp, metadata

replays = sa.Table(
    "replays",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("state", sa.Text, nullable=False, server_default="running"),
    sa.Column("mode", sa.Text, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("request", JSONB, nullable=False),
    sa.Column("plan", JSONB, nullable=False),
    sa.Column("since", Timestamp),
    sa.Column("until", Timestamp),
    sa.Column("stretches", JSONB, nullable=False),
    sa.Column("positions", JSONB, nullable=False, server_default="{}"),
    sa.Column("counts", JSONB, nullable=False, server_default="{}"),
    sa.Column("gaps", JSONB, nullable=False, server_default="[]"),
    sa.Column("report", JSONB),
    sa.Column("audit", JSONB, nullable=False, server_default="[]"),
    sa.Column("note", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", Timestamp),
    sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", Timestamp, nullable=False, server_default=sa.func.now()),
    sa.Column("finished_at", Timestamp),
)
