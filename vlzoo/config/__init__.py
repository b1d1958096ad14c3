"""Recipes: reading, composing, checking and showing them."""
