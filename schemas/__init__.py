"""What travels on Kafka and what is stored in PostgreSQL. Imports nothing else of this project."""
