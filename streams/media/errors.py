"""Why no renditions were made, or a file was not to be had.

Each message is a reason for the ledger, complete without its context.
"""


class BadMedia(Exception):
    """The fault is the content's or the key's: trying again gives the same."""


class StorageFailed(Exception):
    """The storage's fault, and not a file's: it may pass."""


class MissingMedia(Exception):
    """There is no file at the key; its upload may still be under way."""


class RenderCrashed(Exception):
    """The fault is the machine's: the process was killed from outside or got no time, or the disk is full."""
