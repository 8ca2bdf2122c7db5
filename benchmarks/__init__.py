"""Measurements. Each program runs a peer and Tailrace side by side, prints the ratio and writes JSON."""
