"""One source for all events that the database says."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0014_event_source.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
