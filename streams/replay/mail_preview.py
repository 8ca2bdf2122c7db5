"""Who would get a mail from a replay, before anybody does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.backend_presence import backend_of
from streams.backend_rows import as_id_of
from streams.settings import Settings

if TYPE_CHECKING:
    import uuid

    from streams.replay.fates import Order

SHOWN = 1000
"""Recipients that a preview names; it counts them all."""

# Mails that these runs have sent: another run for the same cause sends none.
SENT = sa.text("""
    SELECT run_id FROM tailrace.mail_deliveries WHERE state = 'sent' AND run_id = ANY(CAST(:ids AS uuid[]))
""")


@dataclass
class Mails:
    """The commands that send mail, and the users whom they are about."""

    count: int = 0
    """Runs that would send a mail, if the task finds reason to."""
    users: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    sent_before: int = 0
    """Of them, those whose mail went out before: it does not go out again."""
    _runs: "list[uuid.UUID]" = field(default_factory=list)

    def note(self, orders: "Sequence[Order]") -> None:
        """These would be submitted."""
        self.count += len(orders)
        self._runs += [order.id for order in orders]
        for order in orders:
            user = getattr(order.args, "user_id", None)
            if user is not None and len(self.users) < SHOWN:
                self.users.append(str(user))

    async def look_up(self, connection: AsyncConnection, settings: Settings) -> None:
        """Find addresses in the backend, and what was sent before."""
        if not self.count:
            return
        sent = await connection.execute(SENT, {"ids": self._runs})
        self.sent_before = len(sent.all())
        users = backend_of(settings.backend).users
        ids = [known for user in self.users if (known := as_id_of(users.c.id, user)) is not None]
        if ids:
            found = await connection.execute(sa.select(users.c.email).where(users.c.id.in_(ids)).order_by(users.c.id))
            self.recipients = [row.email for row in found]
