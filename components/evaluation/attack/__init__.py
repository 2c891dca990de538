"""Adversarial attack: search for prompts that break what the safety items protect, on both models, same budget."""
