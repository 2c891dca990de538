"""From scores to promote, hold or reject: the registered plan, the decision, its pages."""
