"""Curation: corrections become deduplicated, classified, guarded, routed and clustered training candidates."""
