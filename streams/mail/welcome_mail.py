"""A welcome before it has words."""

from streams.mail.recipients import Recipient
from streams.mail.template import WELCOME, Mail


def welcome_mail(user: Recipient) -> Mail:
    """One for each user, for ever."""
    values = {"name": user.name, "username": user.username}
    return Mail(WELCOME, user.user_id, welcome_cause(user.user_id), user.email, values, user.locale)


def welcome_cause(user_id: str) -> str:
    return f"user:{user_id}"
