"""Text from outside, as a terminal may be shown it."""


def printable(text: str) -> str:
    """The text with what would steer a terminal escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
