"""The recycle bin of posts."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    for statement in (Path(__file__).parent / "0012_recycle_bin.sql").read_text().split("\n-- ;\n"):
        op.get_bind().exec_driver_sql(statement)
