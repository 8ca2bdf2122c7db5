"""How far runs of the data tasks have come."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0005_data_tasks.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
