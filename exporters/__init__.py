"""From PyTorch models to bundles that device and server load."""
