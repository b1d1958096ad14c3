"""Parts of `benchmarks/ablations.py` and `glance.py`: plan, data, one run, statistics, tables."""
