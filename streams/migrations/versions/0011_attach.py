"""Events from triggers: what they call, backfills, and rights for a worker whose role owns nothing."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0011_attach.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
