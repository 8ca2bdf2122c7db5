"""What is kept for forgetting: the salt of addresses, and whom another's run has forgotten along."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables import Timestamp, metadata

address_salt = sa.Table(
    "address_salt",
    metadata,
    sa.Column("id", sa.Boolean, primary_key=True, server_default=sa.true()),
    sa.Column("salt", sa.Text, nullable=False),
)

forgotten = sa.Table(
    "forgotten",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("subject_id", sa.Text, primary_key=True),
    sa.Column("traces", JSONB, nullable=False),
    sa.Column("erased_at", Timestamp, nullable=False, server_default=sa.func.now()),
)
