"""The feedback store: six Delta Lake tables under one folder or object-store URI; every write is idempotent."""
