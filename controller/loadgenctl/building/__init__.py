"""Building an SDK: the site's settings, their overrides, the builder, and why a build fails."""
