"""What the runtime learns about link, server and device while it works."""
