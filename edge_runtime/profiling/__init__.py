"""What `edge-runtime profile` measures: this device, the server behind the link, and what travels between them."""
