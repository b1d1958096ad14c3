"""The plugin door: who supplied what, found and loaded one plugin at a time."""
