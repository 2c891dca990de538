"""Two live versions compared under peeking: rules, evidence, page."""
