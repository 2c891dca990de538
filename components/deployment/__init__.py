"""Canary rollouts: two model servers behind a sticky splitter, an anytime-valid judge, promotion or rollback."""
