"""LIF with a second current, reset, refractory period, noise, an apical input and windows."""
