"""streambank: event-driven personal finance on an exactly-once event log.

Layers, each built only on the public names of the ones below it:
``cli`` -> ``bank`` -> ``service`` -> ``streams`` -> ``log``.
"""
