"""A Process that sends given spikes."""
