"""A real Kafka, a real PostgreSQL and an SMTP sink for development and tests: no Docker, no root, no Java."""
