"""What each table of the backend holds, as Django creates it."""

import sqlalchemy as sa

from schemas.backend_naming import (
    Naming,
    Timestamp,
    column,
    counted_key,
    counts,
    flags,
    instants,
    key_column,
    object_key,
    reference,
    texts,
)


def users(named: Naming) -> sa.Table:
    """People who have signed up."""
    return named.table(
        "users",
        key_column(named),
        *texts(128, "password"),
        column("last_login", Timestamp, nullable=True),
        column("username", sa.String(150)),
        *texts(150, "first_name", "last_name"),
        *flags("is_superuser", "is_staff", "is_active", "is_verified"),
        *instants("date_joined", "created_at", "updated_at"),
        column("email", sa.String(254)),
        *texts(None, "bio"),
        column("avatar", sa.String(100), nullable=True),
        column("birth_date", sa.Date, nullable=True),
        *texts(100, "location"),
        *texts(200, "website"),
        *counts("followers_count", "following_count", "posts_count"),
        sa.UniqueConstraint("username"),
    )


def posts(named: Naming, users: sa.Table) -> sa.Table:
    """What they post."""
    return named.table(
        "posts",
        key_column(named),
        *texts(None, "content"),
        column("image", sa.String(100), nullable=True),
        column("video", sa.String(100), nullable=True),
        column("visibility", sa.String(20), default="public"),
        *flags("is_pinned"),
        *counts("likes_count", "comments_count", "shares_count", "views_count"),
        *instants("created_at", "updated_at"),
        reference("author_id", users),
    )


def comments(named: Naming, users: sa.Table, posts: sa.Table) -> sa.Table:
    """What others say to it."""
    key = key_column(named)
    parent = sa.ForeignKey(key, deferrable=True, initially="DEFERRED")
    return named.table(
        "comments",
        key,
        *texts(None, "content"),
        *counts("likes_count"),
        *instants("created_at", "updated_at"),
        reference("author_id", users),
        sa.Column("parent_id", key.type, parent, key="parent_id", index=True),
        reference("post_id", posts),
    )


def hashtags(named: Naming) -> sa.Table:
    """Every tag that was ever used."""
    name, unique = column("name", sa.String(100)), sa.UniqueConstraint("name")
    return named.table("hashtags", key_column(named), name, *counts("posts_count"), *instants("created_at"), unique)


def content_types(named: Naming) -> sa.Table:
    """The names that generic relations have for tables."""
    columns = column("app_label", sa.String(100)), column("model", sa.String(100))
    unique = sa.UniqueConstraint("app_label", "model")
    return named.table("django_content_type", counted_key(sa.Integer), *columns, unique)


def likes(named: Naming, users: sa.Table, content_types: sa.Table) -> sa.Table:
    """Of a post or a comment."""
    ends = reference("content_type_id", content_types), reference("user_id", users)
    unique = sa.UniqueConstraint("user_id", "content_type_id", "object_id")
    thing = object_key(named)
    return named.table("likes", key_column(named), thing, *instants("created_at"), *ends, unique)


def shares(named: Naming, users: sa.Table, posts: sa.Table) -> sa.Table:
    """Of a post."""
    ends = reference("post_id", posts), reference("user_id", users)
    kind = column("share_type", sa.String(20), default="repost")
    return named.table("shares", key_column(named), kind, *texts(None, "comment"), *instants("created_at"), *ends)


def notifications(named: Naming, users: sa.Table, content_types: sa.Table) -> sa.Table:
    """What a user is told, perhaps about a row of any table."""
    return named.table(
        "notifications",
        key_column(named),
        column("notification_type", sa.String(20)),
        *texts(None, "message"),
        *flags("is_read"),
        object_key(named, nullable=True),
        *instants("created_at"),
        reference("content_type_id", content_types, nullable=True),
        reference("recipient_id", users),
        reference("sender_id", users, nullable=True),
    )


def reports(named: Naming, users: sa.Table, content_types: sa.Table) -> sa.Table:
    """Complaints about a row of any table."""
    return named.table(
        "reports",
        key_column(named),
        *texts(50, "reason"),
        *texts(None, "description"),
        column("status", sa.String(20), default="pending"),
        reference("content_type_id", content_types),
        object_key(named),
        reference("reporter_id", users),
        *instants("created_at", "updated_at"),
    )


def sessions(named: Naming) -> sa.Table:
    """Django's sessions, where the database keeps them."""
    key = sa.Column("session_key", sa.String(40), key="session_key", primary_key=True)
    return named.table("django_session", key, *texts(None, "session_data"), column("expire_date", Timestamp))


def outstanding_tokens(named: Naming, users: sa.Table) -> sa.Table:
    """Where `rest_framework_simplejwt.token_blacklist` is installed."""
    return named.table(
        "token_blacklist_outstandingtoken",
        counted_key(sa.BigInteger),
        column("jti", sa.String(255)),
        *texts(None, "token"),
        column("created_at", Timestamp, nullable=True),
        column("expires_at", Timestamp),
        reference("user_id", users, nullable=True),
        sa.UniqueConstraint("jti"),
    )


def blacklisted_tokens(named: Naming, outstanding: sa.Table) -> sa.Table:
    """Where `rest_framework_simplejwt.token_blacklist` is installed."""
    key, token = counted_key(sa.BigInteger), reference("token_id", outstanding)
    return named.table(
        "token_blacklist_blacklistedtoken", key, *instants("blacklisted_at"), token, sa.UniqueConstraint("token_id")
    )


def refresh_tokens(named: Naming, users: sa.Table) -> sa.Table:
    """Where `graphql_jwt.refresh_token` is installed."""
    return named.table(
        "refresh_token_refreshtoken",
        counted_key(sa.BigInteger),
        column("token", sa.String(255)),
        *instants("created"),
        column("revoked", Timestamp, nullable=True),
        reference("user_id", users),
    )


def optional_columns(named: Naming) -> None:
    """What tasks read or fill where it is there."""
    named.may_have("users", "locale", sa.Text)
    named.may_have("users", "time_zone", sa.Text)
    named.may_have("posts", "engagement_score", sa.Float)
    named.may_have("hashtags", "is_trending", sa.Boolean)
    named.may_have("hashtags", "trending_score", sa.Float)
