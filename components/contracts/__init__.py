"""What crosses a border between rooms: pure data with versioned schemas, no behaviour beyond validation."""
