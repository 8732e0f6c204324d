"""ssljax: self-supervised pretraining and self-training in JAX."""

__version__ = "0.1.0"
