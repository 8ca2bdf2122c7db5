"""Deletes rows that have had their time, in short transactions of their own."""
