"""The rules of touchstream, pure: no IO, no clock, no randomness, no Faust.

Everything here is a function of its arguments, so that a replay gives the same findings with the same ids, and
`touchstream backtest` on a laptop agrees with the workers in production. Libraries that only compute (msgspec, phonenumbers,
price-parser, dateutil) are allowed; `tests/test_boundaries.py` imports this package in a fresh process and fails when
anything that talks to the outside (faust, aiokafka, redis, prometheus_client, asyncio, socket) was loaded.
"""
