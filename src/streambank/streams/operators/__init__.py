"""The operators, one a module."""
