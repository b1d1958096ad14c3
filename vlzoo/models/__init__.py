"""Encoders, fusions, decoders and how they are assembled."""
