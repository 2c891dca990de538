"""Texts as vectors of unit length, behind one interface: hashed n-grams by default, sentence embeddings as an extra."""

from flywheel.components.curation.encoders.encoder import NAMES, Encoder, encoder

__all__ = ["NAMES", "Encoder", "encoder"]
