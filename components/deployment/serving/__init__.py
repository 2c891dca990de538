"""Model servers on this machine behind a splitter with sticky users."""
