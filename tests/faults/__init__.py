"""Faults on purpose, and what must hold under them: nothing lost, nothing doubled.

    python -m tests.faults --minutes 10 --seed 1        # or: make soak MINUTES=10

`site` is an installation (servers behind proxies, workers under the product's own supervisor), `load` publishes touches and bad
records, `checker` reads everything that is in Kafka while it happens and enters it in `books`, which hold the rules. A fault
(`kinds`) is injected into an `epoch` of load; the long form (`soak`) draws faults at random.
"""
