"""Events outside of Kafka: written to files, in a folder or a store of objects, and brought back to be replayed."""
