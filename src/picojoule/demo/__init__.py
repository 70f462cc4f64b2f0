"""The demonstration: real digits to deployed networks and their bill."""
