"""Drift, quality alarms, alerts and the trigger of the next turn; every alarm states its error rate."""
