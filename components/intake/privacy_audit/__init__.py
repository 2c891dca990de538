"""Measure what scrubbing misses: canaries of every type go through the real intake, then the tables are searched.

The generators here and the recognizers in `intake.privacy` share no code (a test reads the import graph): patterns that
are tested on the output of their own author find everything there, and less elsewhere.
"""
