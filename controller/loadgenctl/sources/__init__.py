"""Sources of an SDK, and the cache of built SDKs."""
