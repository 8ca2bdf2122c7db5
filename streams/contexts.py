"""What a task may use, put together for each of its runs."""

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from schemas.commands import Command
from streams.backend_presence import backend_of
from streams.claims import Claim
from streams.clock import Clock
from streams.mail.mailer import Mailer
from streams.media.renderer import Renderer
from streams.media.storage import storage_of
from streams.pipeline import ContextFactory
from streams.settings import Settings
from streams.task import Context


def context_factory(
    settings: Settings, engine: AsyncEngine, mailer: Mailer, renderer: Renderer, clock: Clock
) -> ContextFactory:
    """Makes of a command and its claim what a task may use."""
    backend, storage = backend_of(settings.backend), storage_of(settings.media)
    log = structlog.get_logger("agents").bind()

    def context(command: Command, claim: Claim) -> Context:
        bound = log.bind(task=command.task, run=str(command.id), attempt=claim.attempt)
        return Context(command, claim, settings, engine, backend, mailer, renderer, storage, clock.now, bound)

    return context
