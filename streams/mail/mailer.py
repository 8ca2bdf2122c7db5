"""Sends a mail once: never lost silently, and twice only where process or connection died in mid-sending.

``intent`` commits before the mail server is called, ``sending`` when it has accepted the recipient and before
the text goes out, ``sent`` when it has taken the text. So each row says what a later attempt may do.
"""

import time
from dataclasses import replace
from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.backend import BackendTables
from streams.backend_presence import Presence, look_at
from streams.claims import Claim, LostClaim
from streams.db import autocommit, until_available
from streams.ledger import Ledger
from streams.mail.address import checked_address, sender_address
from streams.mail.deliveries import Deliveries, Found, Turn
from streams.mail.errors import Bounced, Permanent, Temporary
from streams.mail.links import NO_LINKS, Links, Subscription
from streams.mail.message import Composer, message_id
from streams.mail.reading import Reading
from streams.mail.smtp import MailServer
from streams.mail.suppressions import Suppression, suppress
from streams.mail.template import Mail, Text
from streams.mail.wording import Wording
from streams.settings import Settings
from streams.task import Dead, Done, Outcome, Retry, Skip

LOOK_AGAIN = 60.0
WITH_ANOTHER = "another run is sending this mail"


class TakenByAnother(Exception):
    """Another run has taken this mail since it was our intent."""


class Mailer:
    """The mails of one worker. Raises ``WrongTemplate``, when it is made, if a template cannot be used."""

    def __init__(self, settings: Settings, engine: AsyncEngine, ledger: Ledger, server: MailServer) -> None:
        self._domain = sender_address(settings.smtp.sender).rpartition("@")[2]
        self._engine = engine
        self._server = server
        self._deliveries = Deliveries(engine, ledger)
        self._composer = Composer(settings.smtp)
        self._wording = Wording(settings.mail)
        self._links = Links.of(settings)
        self.reading = Reading(engine, settings.mail.post_url)
        """What mails are made of, for many at once."""
        self._seen: Presence | None = None
        self._seen_at = 0.0

    async def look(self, backend: BackendTables) -> Presence:
        """What of the backend there was at most a minute ago."""
        now = time.monotonic()
        if self._seen is None or now - self._seen_at > LOOK_AGAIN or self._seen.backend is not backend:
            async with autocommit(self._engine) as connection:
                self._seen, self._seen_at = await look_at(connection, backend), now
        return self._seen

    def words(self, mail: Mail) -> tuple[Text, str | None]:
        """What the mail says, and the link that ends its subscription, if it is of a mailing list.

        Raises ``Permanent`` where it needs such a link and the settings do not say enough for one.
        """
        if mail.template.mailing_list is None:
            return self._wording.text(mail), None
        if self._links is None:
            raise Permanent(NO_LINKS)
        link = self._links.unsubscribe(Subscription(mail.user_id, mail.template.mailing_list))
        return self._wording.text(replace(mail, values={**mail.values, "unsubscribe_url": link})), link

    async def send(self, mail: Mail, claim: Claim, now: datetime) -> Outcome:
        """Send it unless that was done.

        Raises ``LostClaim`` if the run is no longer ours.
        """
        try:
            text, link = self.words(mail)
        except Permanent as error:
            return Dead(str(error))
        turn = Turn(mail, claim, message_id(mail, self._domain), text.subject)
        found = await self._deliveries.intend(turn)
        if not found.goes(mail.template):
            return _not_sent(found, turn)
        try:
            message = self._composer.compose(mail, text, link, now)
            await self._server.submit(checked_address(mail.recipient), message, partial(self._begin_sending, turn))
        except TakenByAnother:
            return Retry(WITH_ANOTHER)
        except Temporary as error:
            if not error.in_doubt:
                await self._move(turn, "intent", "sending")
            return Retry(str(error))
        except Permanent as error:
            return await self._refused(turn, error)
        return await self._sent(turn)

    async def _begin_sending(self, turn: Turn) -> None:
        if not await self._deliveries.begin_sending(turn):
            raise TakenByAnother

    async def _sent(self, turn: Turn) -> Outcome:
        """The server has it, so this must be known however long the database is away."""
        if not await until_available(lambda: self._deliveries.keep_sent(turn), "keep that a mail was sent"):
            raise LostClaim(f"the row of the mail {turn.message_id} is no longer this attempt's")
        return Done({"message_id": turn.message_id})

    async def _refused(self, turn: Turn, error: Permanent) -> Dead:
        """To a mailbox that is not there goes no other mail either."""
        ended = replace(turn, error=str(error))
        async with self._engine.begin() as connection:
            if isinstance(error, Bounced):
                address = Suppression.of_address(turn.mail.recipient)
                await self._deliveries.move(connection, ended, "bounced", "intent")
                await suppress(connection, address, "bounced", str(error))
            else:
                await self._deliveries.move(connection, ended, "refused", "intent", "sending")
        return Dead(str(error))

    async def _move(self, turn: Turn, to: str, *from_states: str) -> None:
        async with self._engine.begin() as connection:
            await self._deliveries.move(connection, turn, to, *from_states)


def _not_sent(found: Found, turn: Turn) -> Outcome:
    """Why this attempt sends nothing."""
    message = turn.message_id
    if found.state == "sent":
        sent = found.same_run  # and its record was lost
        return Done({"message_id": message}) if sent else Skip(f"the mail {message} was sent before")
    if found.state == "sending" and found.with_another:
        return Retry(WITH_ANOTHER)
    if found.in_doubt and turn.mail.template.in_doubt == "hold":
        return Skip(f"held: an earlier attempt may have sent the mail {message}")
    return Skip(f"suppressed: {found.unwanted}")
