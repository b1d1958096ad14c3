"""Observers of runs. Each is asked for by name: `VLZOO_OBSERVERS=tensorboard,wandb`."""
