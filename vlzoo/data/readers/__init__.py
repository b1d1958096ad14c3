"""Readers of the data sets of the field, one format a file."""
