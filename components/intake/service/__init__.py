"""The intake service: events and feedback over HTTP, scrubbed, made durable, acknowledged, moved into the store."""
