"""streambank beside its peers and beside loops written by hand. ``python -m benchmarks`` runs them all."""
