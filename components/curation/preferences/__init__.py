"""Preference pairs from corrections and votes."""
