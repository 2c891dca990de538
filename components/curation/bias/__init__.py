"""Who is represented in the data, and whose corrections the router accepts."""
