"""Exact and near duplicates, and which record of a group stays."""
