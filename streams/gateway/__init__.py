"""May I contact this customer? Checks and reservations over HTTP, for all tools that send.

    models.py     what is asked and answered, as JSON and OpenAPI
    app.py        the routes                      server.py    the process: where it listens, how it stops
    tokens.py     who may ask                     limits.py    sizes, rates, request ids
    problems.py   errors, as RFC 9457             metrics.py   what is counted
    seeing.py     what is known of a customer     people.py    who that is, read from the identity index
    gate.py       checks, and holding slots       holds.py     reservations in Redis, atomic
    memory.py     reservations in Kafka, from which a lost Redis is rebuilt

A check reads the view (`streams.edge.view`) and asks the policy's rules (`streams.core.govern`). Holding a slot is a check, then a
compare-and-set in Redis: it succeeds only if no reservation of the customer changed since the check read them; else the check is
made again. So of two tools that race for one customer exactly one wins, whichever gateway each of them asks. A reservation is in Kafka,
acknowledged by all replicas, before the answer says that it is held.
"""
