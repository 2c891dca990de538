"""Questions that show what poisoned feedback would teach: sycophancy and wrong facts about an entity."""
