"""Logged prompts replayed on the candidate: the change of each canary metric, predicted and checked."""
