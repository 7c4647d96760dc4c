"""Kafka and a Redis-compatible server on this machine, as children of this process.

`stack.EmbeddedStack` starts both; `kafka.Broker` and `redis.RedisServer` are one server each; `process` starts
children that die with us; `jars` and `java` find what the broker needs. Nothing listens outside loopback. For a real
installation point `TOUCHSTREAM_BOOTSTRAP` and `TOUCHSTREAM_REDIS_URL` at servers of your own.
"""
