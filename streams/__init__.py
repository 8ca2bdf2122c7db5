"""How work runs: pipeline, ledger, outbox, relay, trending, web and the development stack."""
