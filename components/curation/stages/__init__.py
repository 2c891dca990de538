"""The stages of curation over paths and the store; each returns the record of what it did."""
