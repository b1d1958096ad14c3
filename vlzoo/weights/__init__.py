"""Checkpoints: safe loading, cards, adapters."""
