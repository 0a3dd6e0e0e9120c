"""Lava's own ProcessModels of LIF and LearningDense that also write down what they did."""
