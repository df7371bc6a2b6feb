"""The topologies: about a page each, reading like the sentence they carry out."""
