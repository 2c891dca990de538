"""What can go wrong with a registry; every message says what to do."""


class RegistryError(Exception):
    """The registry cannot do what was asked."""


class NotRegisteredError(RegistryError):
    """The model, version or registry does not exist."""


class VersionConflictError(RegistryError):
    """The same weights are registered already with another lineage."""


class AliasMovedError(RegistryError):
    """An alias does not point where the caller expected: someone else moved it in the meantime."""


class LeaseHeldError(RegistryError):
    """Another holder has the lease."""


class LeaseLostError(RegistryError):
    """The lease expired or was taken over; its holder must stop changing anything."""
