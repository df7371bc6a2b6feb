"""The views service: what a person wants to see of their money, from the topologies' figures, and as it happens."""
