"""Pure functions from predictions to figures; numpy and scipy only."""
