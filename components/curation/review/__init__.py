"""Human review: what people are asked, how they answer, and that their word wins over the model's."""
