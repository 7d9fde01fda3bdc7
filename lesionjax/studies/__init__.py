"""Many runs: made by one recipe, put side by side."""
