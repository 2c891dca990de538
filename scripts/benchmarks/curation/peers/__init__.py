"""One script a peer; each is run by `child.py` in a venv of its own."""
