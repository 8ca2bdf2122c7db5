"""A digest before it has words."""

from collections.abc import Sequence

from streams.mail.digest_posts import Post
from streams.mail.recipients import Recipient
from streams.mail.template import DIGEST, Mail


def digest_mail(user: Recipient, week: str, posts: Sequence[Post]) -> Mail:
    """One for each user and week."""
    values = {"name": user.name, "username": user.username, "week": week, "posts": posts}
    return Mail(DIGEST, user.user_id, week, user.email, values, user.locale)
