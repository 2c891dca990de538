"""Model versions with their lineage, and the aliases that say which one serves; moved by compare-and-set only."""
