"""The small world: facts, a production model, users, feedback and traffic, all from one seed (design §7)."""
