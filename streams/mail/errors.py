"""Why a mail was not accepted. Each message is a reason for the ledger, complete without its context."""


class MailError(Exception):
    """The mail server has certainly not taken the mail, unless ``in_doubt``.

    ``in_doubt``: the connection was lost between the start of the text and the server's answer.
    """

    def __init__(self, reason: str, *, in_doubt: bool = False) -> None:
        super().__init__(reason)
        self.in_doubt = in_doubt


class Temporary(MailError):
    """It may be accepted later."""


class Permanent(MailError):
    """It will never be accepted as it is."""


class Bounced(Permanent):
    """There is no such mailbox: no other mail to this address will be accepted either."""
