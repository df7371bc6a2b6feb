"""The bank: the event contract, the topologies, and the services that share nothing but events."""
