"""Training recipes of the zoo, and the resumable loop they share."""
