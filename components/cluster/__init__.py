"""Talk to a Kubernetes API server and survive it: retries, watches, apply, leases, errors that say what to do."""
