"""What a person sees: the shell and one package a tab."""
