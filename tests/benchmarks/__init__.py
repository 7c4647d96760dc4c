"""touchstream beside its peers, in one run, on one real broker: `make bench`, or `python -m tests.benchmarks --help`.

Two jobs, each at 200k touches of 20k customers and at 1M of 100k, 4 partitions:

- `whole_worker` (`job.py`): Avro touches in four topics -> decode, check, identify -> touches.identified -> timeline, all rules,
  changelog -> conflicts and handoffs in Avro. touchstream runs as it is (`touchstream worker`, identities in Redis); the peers call
  the same pure core and the same codec, with identities in a dict of their process, or in Redis, too (`quixstreams_redis`,
  `bytewax_redis`).
- `rule_only` (`rule.py`): JSON contacts in one topic -> the 24 h rule, changelogged state -> JSON pairs. Here the engines are compared
  rather than the core, and Kafka Streams (Java, RocksDB) joins.

Each engine is one process (touchstream: one worker) with one thread of work (Kafka Streams also with two). The input is loaded once
a job and size; each run reads it from the start with a fresh consumer group and empty output topics. Every engine commits
each `COMMIT_SECONDS`. Faust runs once where the input is a million.

**Time measured**: from the first record that the engine processes (touchstream's whole worker: from its log line "ready", since it
runs unchanged) until the broker has acknowledged all output and the committed offsets of all its topics have reached the
ends. Bytewax commits no offsets: its end is the moment when all is read and written, without the last snapshot of its own
recovery store. Start-up is not counted. The rate is input records per second of that time. Warm-up: one run of the bare
loop, thrown away, brings input and broker into memory; JIT compilation is part of Kafka Streams' time, as it is part of every
restart.

Every run's findings, folded as consumers fold them, must be the same as the first run's, or the benchmark fails.
"""

COMMIT_SECONDS = 1.0
"""touchstream's default. Half of it is lost at the end of a run, on average, which weighs most on the fastest. Quix Streams commits
every 5 s by default and Bytewax snapshots every 10 s; both spend less time then, and read more again after a crash."""

PARTITIONS = 4
