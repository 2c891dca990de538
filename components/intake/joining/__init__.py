"""Joining: late feedback finds its answer, and a user's next turn says how the last answer was received."""
