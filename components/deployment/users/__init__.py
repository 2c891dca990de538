"""Who asks: simulated and replayed users, and how many a day there are."""
