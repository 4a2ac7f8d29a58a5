"""What is copied into a bundle, as it is but for its imports of ours. Nothing here is imported by the studio."""
