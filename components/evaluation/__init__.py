"""The validation gauntlet: candidate and production answer the same items, and statistics give the verdict."""
