"""Find and replace personal data in free text: google-re2 patterns, checksums, placeholders that keep the type."""
