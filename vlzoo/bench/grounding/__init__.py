"""Grounding: everything of the task in one folder."""
