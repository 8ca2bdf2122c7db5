"""The mails that a test's own mail server has got."""

from collections import Counter

from streams.devstack.smtp_sink import SmtpSink


def mailed(sink: SmtpSink) -> Counter[str]:
    """How many mails each address has got."""
    return Counter(str(mail["Delivered-To"]) for mail in sink.mails())
