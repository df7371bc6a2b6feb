"""Stream processing with the semantics of Kafka Streams on any event log."""
