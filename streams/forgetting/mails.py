"""What is kept of the mails to a user: that they went, but not where to.

An address that bounced or complained is still suppressed, by a hash that only this database can make: its owner, who
may sign up again, or a mail server has said no. An unsubscription goes with the user whom alone it is about.
"""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.mail.address import folded

ADDRESSES = sa.text("SELECT DISTINCT recipient FROM tailrace.mail_deliveries WHERE user_id = :user")

# The row stays, with template, user's id and cause: by these no mail goes out twice.
ANONYMISE = sa.text("""
    UPDATE tailrace.mail_deliveries SET recipient = '', subject = '', error = NULL
     WHERE user_id = :user AND (recipient <> '' OR subject <> '')
""")

MAKE_SALT = sa.text("""
    INSERT INTO tailrace.address_salt (salt) VALUES (CAST(gen_random_uuid() AS text) || CAST(gen_random_uuid() AS text))
    ON CONFLICT (id) DO NOTHING
""")

# What the mail server said of the address goes, too.
HASH = sa.text("""
    WITH known AS (
        DELETE FROM tailrace.suppressions WHERE kind = 'address' AND value = ANY(CAST(:addresses AS text[]))
        RETURNING value, mailing_list, reason, created_at)
    INSERT INTO tailrace.suppressions (kind, value, mailing_list, reason, created_at)
    SELECT 'address', tailrace.hashed_address(value), mailing_list, reason, created_at FROM known
    ON CONFLICT (kind, value, mailing_list) DO NOTHING
""")

UNSUBSCRIBED = sa.text("DELETE FROM tailrace.suppressions WHERE kind = 'user' AND value = :user")


async def anonymise(connection: AsyncConnection, user_id: str, address: str | None) -> dict[str, int]:
    """How many rows now say nothing of the user but the id, or of the address but its hash. ``address``: the one that
    the backend has, if it has the user.
    """
    known = {*(await connection.execute(ADDRESSES, {"user": user_id})).scalars(), address} - {"", None}
    mails = (await connection.execute(ANONYMISE, {"user": user_id})).rowcount
    await connection.execute(MAKE_SALT)
    hashed = await connection.execute(HASH, {"addresses": [folded(each) for each in known if each]})
    return {"mail_deliveries": mails, "suppressions": hashed.rowcount}


async def forget_unsubscriptions(connection: AsyncConnection, user_id: str) -> int:
    """How many there were."""
    return (await connection.execute(UNSUBSCRIBED, {"user": user_id})).rowcount
