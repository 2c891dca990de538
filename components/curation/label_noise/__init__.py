"""Labels that are probably wrong: confident learning on out-of-fold probabilities."""
