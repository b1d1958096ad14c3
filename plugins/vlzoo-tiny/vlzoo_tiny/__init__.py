"""Tiny trained runs, one a method, in the folder `runs`: `vlzoo weights list` names them."""
