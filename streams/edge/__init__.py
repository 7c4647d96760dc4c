"""IO, one outside thing a module: Kafka, Redis, Prometheus, processes, files. Decisions are made in `streams.core`."""
