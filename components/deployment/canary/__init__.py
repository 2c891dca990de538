"""The canary: who is exposed, what is judged at each look, and what is done about it."""
