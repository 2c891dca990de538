"""Groups of like failures and successes, with names."""
