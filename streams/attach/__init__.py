"""Attaching to a backend's database: triggers that say its events, so that it need not."""
