"""Load on the intake service: the process under test, senders, wrk."""
