"""Our tables about mails, beside ``mail_deliveries``: who wants none, and the digests of each week."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables import Timestamp, metadata

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    sa.Column("mailing_list", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("detail", sa.Text),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
)

digest_editions = sa.Table(
    "digest_editions",
    metadata,
    sa.Column("week", sa.Text, primary_key=True),
    sa.Column("since", Timestamp, nullable=False),
    sa.Column("until", Timestamp, nullable=False),
    sa.Column("best", JSONB, nullable=False),
    sa.Column("slots", JSONB, nullable=False, server_default="{}"),
    sa.Column("created_at", Timestamp, nullable=False, server_default=sa.func.now()),
)
