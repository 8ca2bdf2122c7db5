"""Schedules: what runs when, for any number of workers, each instant at most once."""
