"""Transforms of pictures and texts."""
