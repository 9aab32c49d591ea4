"""SDK families: how their images, builds and roles are described."""
