"""What must hold for every emitted template."""
