"""What rewardspec is measured by; run with `python -m benchmarks`."""
