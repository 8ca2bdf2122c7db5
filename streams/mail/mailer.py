"""Sends a mail once: never lost silently, and twice only where process or connection died in mid-sending.

``intent`` commits before the mail server is called, ``sending`` when it has accepted the recipient and before
the text goes out, ``sent`` with the ledger's record. So each row says what a later attempt may do.
"""

from datetime import datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.claims import Claim
from streams.ledger import Ledger
from streams.mail import deliveries
from streams.mail.address import checked_address, sender_address
from streams.mail.deliveries import Turn
from streams.mail.errors import Permanent, Temporary
from streams.mail.message import compose, message_id
from streams.mail.smtp import MailServer
from streams.mail.template import Mail, Templates, Text
from streams.task import Dead, Done, Effect, Outcome, Retry, Skip
from streams.task_settings import Smtp


class TakenByAnother(Exception):
    """Another run has taken this mail since it was our intent."""


class Mailer:
    """The mails of one worker."""

    def __init__(self, smtp: Smtp, engine: AsyncEngine, ledger: Ledger) -> None:
        self._sender = smtp.sender
        self._domain = sender_address(smtp.sender).rpartition("@")[2]
        self._engine = engine
        self._ledger = ledger
        self._server = MailServer(smtp)
        self._templates = Templates()

    async def send(self, mail: Mail, claim: Claim, now: datetime) -> Outcome:
        """Send it unless that was done. ``Done`` has the effect that says so in the record's transaction.

        Raises ``LostClaim`` if the run is no longer ours; then nothing was sent by this call.
        """
        turn, text = Turn(mail, claim), self._templates.text(mail)
        refusal = await self._intend(turn, text)
        if refusal:
            return refusal
        try:
            await self._submit(turn, text, now)
        except TakenByAnother:
            return Retry("another run is sending this mail")
        except Temporary as error:
            if not error.in_doubt:
                await self._move(turn, "intent", "sending")
            return Retry(str(error))
        except Permanent as error:
            await self._move(turn, "refused", "intent", "sending")
            return Dead(str(error))
        return Done({"message_id": self._message_id(mail)}, effect=self._sent(turn))

    async def _intend(self, turn: Turn, text: Text) -> Outcome | None:
        """Commit that this attempt sends the mail; or why it does not."""
        async with self._engine.begin() as connection:
            await self._ledger.hold(connection, turn.claim)
            message = self._message_id(turn.mail)
            found = await deliveries.find_or_make(connection, turn, message, text.subject)
            if found.state == "sent":
                return Skip(f"the mail {message} was sent before")
            if found.state == "sending":
                if found.with_another:
                    return Retry("another run is sending this mail")
                await deliveries.count_doubt(connection, turn)
            if found.state in ("sending", "uncertain") and turn.mail.template.in_doubt == "hold":
                return _held(message)
            await deliveries.take(connection, turn, text.subject)
            return None

    async def _submit(self, turn: Turn, text: Text, now: datetime) -> None:
        message = compose(turn.mail, text, self._sender, now)
        recipient = checked_address(turn.mail.recipient)
        await self._server.submit(recipient, message, partial(self._begin_sending, turn))

    async def _begin_sending(self, turn: Turn) -> None:
        """Commit that a copy may be out from here on, if run and mail are still ours."""
        async with self._engine.begin() as connection:
            await self._ledger.hold(connection, turn.claim)
            if not await deliveries.move(connection, turn, "sending", "intent"):
                raise TakenByAnother

    async def _move(self, turn: Turn, to: str, *from_states: str) -> None:
        async with self._engine.begin() as connection:
            await deliveries.move(connection, turn, to, *from_states)

    def _sent(self, turn: Turn) -> Effect:
        async def effect(connection: AsyncConnection) -> None:
            await self._ledger.hold(connection, turn.claim)
            if not await deliveries.move(connection, turn, "sent", "sending"):
                raise TakenByAnother("the mail's row is no longer this attempt's")

        return effect

    def _message_id(self, mail: Mail) -> str:
        return message_id(mail, self._domain)


def _held(message: str) -> Skip:
    return Skip(f"held: an earlier attempt may have sent the mail {message}")
