"""What counts as one tag."""

import unicodedata

MAX_LENGTH = 100
REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional marks among them), surrogate, private, unassigned, separators."""
ALLOWED_FORMAT = frozenset("‌‍")
"""Joiners, which several scripts and emoji need."""


def normal_tag(text: str) -> str | None:
    """The tag as it is counted: NFKC, casefolded, without ``#`` and outer space; None where it is no tag."""
    tag = unicodedata.normalize("NFKC", text).strip().lstrip("#").casefold()
    tag = unicodedata.normalize("NFKC", tag)
    if not tag or len(tag) > MAX_LENGTH:
        return None
    if tag.isalnum():
        return tag
    refused = any(unicodedata.category(sign) in REFUSED_CATEGORIES and sign not in ALLOWED_FORMAT for sign in tag)
    return None if refused else tag
