"""Parts of `benchmarks/ablations.py`: plan, data, one run, statistics, table."""
