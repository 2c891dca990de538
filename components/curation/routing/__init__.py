"""Which corrections are accepted, reviewed by people, or discarded, with a stated error rate."""
