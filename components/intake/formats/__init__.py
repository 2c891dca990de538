"""The formats of logs and feedback: one file a format, and a registry that knows them by name and by looks."""
