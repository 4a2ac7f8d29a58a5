"""VLM-CaR: reward code from a vision-language model, verified on trajectories, then trained on."""
