"""The papers' figures and the fidelity of every on-chip form, remade by command."""
