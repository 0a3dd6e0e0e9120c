"""Numbers that describe a run: weight alignment and spike-train statistics."""
