"""One training step: what is planned, what is drawn, and each value computed at most once."""
