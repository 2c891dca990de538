"""What the store says when it cannot do what was asked."""


class StoreError(ValueError):
    """The store, a table of it, or rows meant for it are not usable; the message says what to do."""
