"""What a person or a probe sees over HTTP."""
