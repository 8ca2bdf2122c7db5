"""What crops of a picture keep, so that it is kept when the picture is made again."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.execute(
        "ALTER TABLE tailrace.media_assets ADD COLUMN focus_x double precision, ADD COLUMN focus_y double precision"
    )
