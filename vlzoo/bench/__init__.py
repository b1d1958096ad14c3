"""Downstream tasks: predict, score, report."""
