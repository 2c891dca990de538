"""Preferences as the files that TRL's trainers read: DPO, KTO and reward training."""
