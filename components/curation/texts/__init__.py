"""Words, normal forms and claims: what the other rooms of curation read a text with."""
