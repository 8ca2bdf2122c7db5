"""Windowed counts of hashtags: exact for any kill, rebalance or replay, and answered from memory."""
