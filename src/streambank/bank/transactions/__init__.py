"""The transactions service: accounts, a double-entry ledger, and what people make of their entries."""
