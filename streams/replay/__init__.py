"""Process events again that lie in their topics: counted first, seen while it runs, and safe by default."""
