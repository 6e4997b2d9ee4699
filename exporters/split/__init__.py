"""Cuts through any convolutional network: where they are, what they cost, and the bundle of their halves."""
