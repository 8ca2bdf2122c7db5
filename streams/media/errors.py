"""Why no renditions were made. Each message is a reason for the ledger, complete without its context."""


class BadMedia(Exception):
    """The fault is the content's or the key's: trying again gives the same."""


class MissingMedia(Exception):
    """There is no file at the key; its upload may still be under way."""


class RenderCrashed(Exception):
    """The fault is the machine's: the process was killed from outside or got no time, or the disk is full."""
