"""The downstream tasks: how each is trained and measured."""
