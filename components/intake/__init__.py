"""Intake: logs and feedback of many formats become anonymized records in the feedback store."""
