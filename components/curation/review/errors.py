"""What can go wrong with a review queue."""


class ReviewError(RuntimeError):
    """A queue cannot be used; the message says what is wrong and what to do."""
