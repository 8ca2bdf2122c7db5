"""What a user's mail would say now. Nothing is sent and nothing is kept."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.backend_presence import backend_of, look_at
from streams.db import autocommit
from streams.mail.digest_editions import draft, find_edition
from streams.mail.digest_mail import digest_mail
from streams.mail.digest_posts import find_posts
from streams.mail.digest_times import week_of
from streams.mail.links import NO_LINKS, Links, Subscription
from streams.mail.recipients import find_recipients
from streams.mail.template import DIGEST, WELCOME, Mail, Text
from streams.mail.welcome_mail import welcome_mail
from streams.mail.wording import Wording
from streams.settings import Settings


class NoPreview(Exception):
    """There is no such mail; the message says why."""


async def preview(
    settings: Settings, engine: AsyncEngine, template: str, user_id: str, locale: str | None, now: datetime
) -> Text:
    """The words of ``template`` for this user, in the language of ``locale`` or the user's.

    Raises ``NoPreview``, and ``WrongTemplate`` for a template that cannot be used.
    """
    mail = await _mail(settings, engine, template, user_id, now)
    if locale:
        mail = replace(mail, locale=locale)
    if mail.template.mailing_list:
        links = Links.of(settings)
        if links is None:
            raise NoPreview(NO_LINKS)
        link = links.unsubscribe(Subscription(mail.user_id, mail.template.mailing_list))
        mail = replace(mail, values={**mail.values, "unsubscribe_url": link})
    return Wording(settings.mail).text(mail)


async def _mail(settings: Settings, engine: AsyncEngine, template: str, user_id: str, now: datetime) -> Mail:
    async with autocommit(engine) as connection:
        presence = await look_at(connection, backend_of(settings.backend))
        (user,) = await find_recipients(connection, presence, [user_id])
        if user is None:
            raise NoPreview(f"user {user_id!r} does not exist")
        if template == WELCOME.name:
            return welcome_mail(user)
        week = week_of(now)
        edition = await find_edition(connection, week) or await draft(connection, presence, week, now)
        between, post_url = edition.between, settings.mail.post_url
        (posts,) = await find_posts(connection, presence, [user.user_id], edition.best, between, post_url)
    if not posts:
        raise NoPreview(f"user {user_id!r} gets no {DIGEST.name}: nothing was posted that they could be shown")
    return digest_mail(user, week, posts)
