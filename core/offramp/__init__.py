"""One neural network on two machines: the values, rules and arithmetic that the roles share."""

__version__ = "0.1.0"
