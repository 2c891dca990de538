"""Inputs checked before hours are spent: everything that is wrong, in one message, with what to do."""
