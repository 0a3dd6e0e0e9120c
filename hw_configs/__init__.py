"""One TOML file per hardware target, every number with its evidence and source."""
