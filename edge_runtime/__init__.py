"""A weak device and a server answer image questions together, sending the fewest bytes."""
