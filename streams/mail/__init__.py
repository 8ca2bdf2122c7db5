"""Mails: what they say, how they are handed to a mail server, and the rows that keep each from going twice."""
