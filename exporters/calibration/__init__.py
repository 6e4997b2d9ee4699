"""Fitting the feature codec to one cut: from training photos and two halves of a network to a tables file."""
