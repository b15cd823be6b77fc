"""Wire formats: one package a dialect, each with a server half, a client half and a relay."""
