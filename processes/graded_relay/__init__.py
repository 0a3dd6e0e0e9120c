"""Linear neurons that pass on what arrives, its signs apart."""
