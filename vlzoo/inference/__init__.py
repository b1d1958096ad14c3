"""A trained model at hand, in Python and notebooks: `vlzoo.load`."""
