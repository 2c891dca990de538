"""What intake says when it cannot even start, or must not go on; bad rows are no errors, they go to quarantine."""


class IntakeError(ValueError):
    """The logs, the key or the store cannot be used; the message says what, where and what to do."""


class ResidualPersonalData(ValueError):
    """The independent scanner found personal data in tables that should hold none."""
