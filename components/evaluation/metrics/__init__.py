"""What is measured, each with its test against production."""
